// Keeps a page of lists up to date: asks every few seconds; if nothing has changed, the answer is a few bytes.
// It pauses while the page is hidden, or the reader types or has a menu open. The page always shows how fresh it is.
"use strict";

(() => {
  const EVERY = 4000, PATIENCE = 15000;
  const part = document.getElementById("fresh");
  const sign = document.getElementById("live");
  const words = document.getElementById("live-text");
  let tag = null, freshest = new Date();

  function say(kind, text) {
    sign.dataset.kind = kind;
    if (words.textContent !== text) words.textContent = text;
  }

  function busy() {
    return document.hidden || part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  }

  async function ask() {
    const headers = { "X-Refresh": "1", ...(tag ? { "If-None-Match": tag } : {}) }; // what became of an action is for the page
    const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = next.getElementById("fresh");
    if (!fresh) throw new Error("the answer is another page"); // such as a sign-in
    tag = answer.headers.get("ETag");
    morph(part, fresh);
    Times.tell(part);
    document.title = next.title;
    document.getElementById("icon").setAttribute("href", next.getElementById("icon").getAttribute("href"));
  }

  async function again() {
    if (!busy()) {
      try {
        await ask();
        freshest = new Date();
        say("live", "Live");
      } catch (error) {
        say("lost", `Connection lost, trying again, as of ${Times.seconds(freshest)}`);
      }
    }
    setTimeout(again, EVERY);
  }

  again();
  document.addEventListener("visibilitychange", () => document.hidden || say("live", `as of ${Times.seconds(freshest)}`));
})();
