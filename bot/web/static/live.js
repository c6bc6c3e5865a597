// Keeps the board up to date: by server-sent events, or, where those fail, by asking every five seconds.
// The page always says how fresh it is.
"use strict";

(() => {
  const board = document.getElementById("board");
  const base = board.dataset.base;
  const sign = document.getElementById("live");
  const words = document.getElementById("live-text");
  const spoken = document.getElementById("live-spoken"); // changes with the state only, not with every moment
  const SPOKEN = { live: "The page is live", polling: "The page is asked for every 5 seconds", lost: "Connection lost" };
  const POLL = 5000, SILENCE = 45000, AGAIN = 30000;
  let source = null, polling = null, freshest = new Date(), heard = Date.now(), state = "";

  function say(kind, text) {
    if (sign.dataset.kind !== kind) {
      spoken.textContent = SPOKEN[kind];
      sign.dataset.kind = kind;
    }
    if (words.textContent !== text) words.textContent = text;
  }

  function tell() {
    const at = Times.seconds(freshest);
    if (state === "live") say("live", "Live");
    else if (state === "polling") say("polling", `Asked every 5 s, as of ${at}`);
    else say("lost", `${state || "Connection lost"}, trying again, as of ${at}`);
  }

  function show(html) {
    const next = new DOMParser().parseFromString(html, "text/html").getElementById("board-root");
    const present = document.getElementById("board-root");
    if (!next || !present) throw new Error("the answer holds no board");
    morph(present, next);
    Times.tell(board);
    document.title = next.dataset.title;
    freshest = heard = Date.now();
  }

  function lost(why) {
    state = why;
    tell();
  }

  function connect() {
    if (source) source.close();
    heard = Date.now();
    source = new EventSource(`${base}/live`);
    source.addEventListener("board", (event) => {
      stopPolling();
      show(event.data);
      state = "live";
      tell();
    });
    source.addEventListener("beat", () => {
      freshest = heard = Date.now();
      state = "live";
      tell();
    });
    source.addEventListener("lost", (event) => {
      heard = Date.now();
      lost(event.data.charAt(0).toUpperCase() + event.data.slice(1));
    });
    source.onerror = () => {
      // CONNECTING: the browser tries again by itself. CLOSED: refused, perhaps because too many look; ask instead.
      if (source.readyState !== EventSource.CLOSED) {
        lost("Connection lost");
      } else {
        startPolling();
        setTimeout(connect, AGAIN);
      }
    };
  }

  async function poll() {
    try {
      const answer = await fetch(`${base}/board`, { cache: "no-store", signal: AbortSignal.timeout(POLL) });
      if (!answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      if (polling === null) return; // meanwhile the stream is back
      show(html);
      state = "polling";
      tell();
    } catch {
      if (polling !== null) lost("Connection lost");
    }
  }

  function startPolling() {
    if (polling !== null) return;
    lost("Connection lost");
    polling = setInterval(poll, POLL);
    poll();
  }

  function stopPolling() {
    if (polling !== null) clearInterval(polling);
    polling = null;
  }

  setInterval(() => {
    if (polling === null && Date.now() - heard > SILENCE) {
      lost("Connection lost");
      connect(); // a connection that broke without a word is never reported
    }
  }, 5000);

  connect();
})();
