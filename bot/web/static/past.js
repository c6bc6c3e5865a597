// Moves through the past of a board without a new page: the slider, the steps, and automatic playing. Loaded boards
// are kept for a while, only the moment requested last is shown, and the address is that of the moment.
"use strict";

(() => {
  const KEPT = 40, REST = 150, EACH = 700, PATIENCE = 20000;
  const controls = document.getElementById("past");
  const slider = document.getElementById("past-at");
  const play = document.getElementById("past-play");
  const speed = document.getElementById("past-speed");
  const problem = document.getElementById("past-problem");
  const spoken = document.getElementById("past-spoken");
  const base = controls.querySelector("form").action;
  const kept = new Map(); // address: page
  let asking = null, resting = 0, playing = 0;

  const board = () => document.getElementById("past-board");
  const addressOf = (milliseconds) => `${base}?at=${new Date(milliseconds).toISOString()}`;

  async function load(address, signal) {
    let text = kept.get(address);
    if (!text) {
      const answer = await fetch(address, { headers: { "X-Refresh": "1" }, cache: "no-store", redirect: "error", signal });
      if (!answer.ok) throw new Error(answer.status);
      text = await answer.text();
      kept.set(address, text);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    return new DOMParser().parseFromString(text, "text/html");
  }

  function show(next, address, moved) {
    for (const id of ["past-moment", "past-marks", "past-steps", "past-latest", "past-note", "past-board"]) {
      morph(document.getElementById(id), next.getElementById(id));
    }
    const at = new Date(board().dataset.moment);
    if (!moved) slider.value = at / 1000;
    Times.tell(controls);
    Times.tell(board());
    document.title = next.title;
    problem.textContent = "";
    tell(at);
    if (!playing) spoken.textContent = `The board as of ${Times.second(at)}`;
    history.replaceState(null, "", address);
  }

  function tell(at) {
    slider.setAttribute("aria-valuetext", Times.second(at));
  }

  // Shows the board of an address and drops earlier requests. Returns true if the board is shown.
  async function go(address, moved = false) {
    clearTimeout(resting);
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    const late = setTimeout(() => mine.abort(), PATIENCE);
    try {
      const next = await load(address, mine.signal);
      if (mine !== asking) return false;
      if (!next.getElementById("past-board")) throw new Error("the answer is another page"); // such as a sign-in
      show(next, address, moved);
      return true;
    } catch (error) {
      if (mine === asking) {
        kept.delete(address);
        stop();
        problem.textContent = "The board of this moment could not be loaded. Move on, or try again.";
      }
      return false;
    } finally {
      clearTimeout(late);
    }
  }

  function stop() {
    clearTimeout(playing);
    playing = 0;
    play.textContent = "Play";
  }

  async function playOn() {
    const next = board().dataset.next;
    if (!next) return stop();
    const at = new Date(board().dataset.moment).getTime() + speed.value * 1000;
    const decided = new Date(new URL(next, location.href).searchParams.get("at")).getTime();
    const shown = await go(at > decided ? addressOf(Math.min(at, slider.max * 1000)) : new URL(next, location.href).href);
    if (shown && playing) playing = setTimeout(playOn, EACH);
  }

  slider.addEventListener("input", () => {
    stop();
    const at = slider.value * 1000;
    tell(new Date(at));
    document.querySelector("#past-moment time").textContent = Times.second(new Date(at));
    clearTimeout(resting);
    resting = setTimeout(() => go(addressOf(at), true), REST);
  });
  controls.addEventListener("click", (event) => {
    const link = event.target.closest("#past-steps a, #past-locks a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    stop();
    go(link.href);
  });
  controls.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    stop();
    go(addressOf(slider.value * 1000), true);
  });
  play.addEventListener("click", () => {
    if (playing) return stop();
    play.textContent = "Pause";
    playing = setTimeout(playOn, 0);
  });

  document.getElementById("past-show").hidden = true;
  play.hidden = document.getElementById("past-speed-name").hidden = false;
  tell(new Date(board().dataset.moment));
})();
