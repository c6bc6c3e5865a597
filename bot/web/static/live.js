// Keeps the board up to date by server-sent events. The page always shows how fresh it is, and the browser connects
// again by itself. When too many pages are open, each connection brings the board once and ends.
"use strict";

(() => {
  const board = document.getElementById("board");
  const sign = document.getElementById("live");
  const words = document.getElementById("live-text");
  const spoken = document.getElementById("live-spoken"); // changes with the state only, not with every moment
  const mine = document.getElementById("mine"); // only for who is signed in
  let asking = false;
  const SPOKEN = { live: "The page is live", full: "The page is brought up to date every 10 seconds", lost: "Connection lost" };
  const SILENCE = 45000, AGAIN = 30000;
  let source = null, freshest = new Date(), heard = Date.now();
  let full = ""; // why the server ends this connection after one board, if it does

  function say(kind, text) {
    if (sign.dataset.kind !== kind) {
      spoken.textContent = SPOKEN[kind];
      sign.dataset.kind = kind;
    }
    if (words.textContent !== text) words.textContent = text;
  }

  function fresh() {
    freshest = heard = Date.now();
    if (full) say("full", `${full}; as of ${Times.seconds(freshest)}`);
    else say("live", "Live");
  }

  function lost(why) {
    say("lost", `${why}, trying again, as of ${Times.seconds(freshest)}`);
  }

  function show(html) {
    const next = new DOMParser().parseFromString(html, "text/html").getElementById("board-root");
    const present = document.getElementById("board-root");
    if (!next || !present) throw new Error("the answer holds no board");
    morph(present, next);
    Times.tell(board);
    document.title = next.dataset.title;
    document.getElementById("icon").setAttribute("href", next.dataset.icon);
  }

  // The reader's own runs are requested now and then, because the board is drawn once for everybody.
  function showMine() {
    if (!mine || asking) return;
    asking = true;
    setTimeout(async () => {
      asking = false;
      try {
        const answer = await fetch(`${board.dataset.base}/mine`, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(15000) });
        if (!answer.ok) return; // the next change asks again
        const next = new DOMParser().parseFromString(`<div id="mine">${await answer.text()}</div>`, "text/html");
        morph(mine, next.getElementById("mine"));
        Times.tell(mine);
      } catch (error) {
        if (error.name !== "TimeoutError" && error.name !== "TypeError") throw error; // no connection: the sign says so
      }
    }, 1000);
  }

  function capitalized(text) {
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  function connect() {
    if (source) source.close();
    heard = Date.now();
    source = new EventSource(`${board.dataset.base}/live`);
    source.addEventListener("full", (event) => {
      full = capitalized(event.data);
    });
    source.addEventListener("board", (event) => {
      show(event.data);
      showMine();
      fresh();
    });
    source.addEventListener("beat", fresh);
    source.addEventListener("lost", (event) => {
      heard = Date.now();
      lost(capitalized(event.data));
    });
    source.onerror = () => {
      // CONNECTING: the browser tries again by itself. CLOSED: refused, so it does not.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN);
      if (!full) lost("Connection lost");
      full = ""; // the next connection says so again, or is lost if it cannot be made
    };
  }

  setInterval(() => {
    if (Date.now() - heard > SILENCE) {
      lost("Connection lost");
      connect(); // a connection that broke without a word is never reported
    }
  }, 5000);

  connect();
})();
