// Updates "What it does" when a choice in an action's form changes. Without JavaScript a button updates it.
"use strict";

(() => {
  const form = document.getElementById("act");
  if (!form) return;
  let asked = 0;

  async function preview() {
    const mine = ++asked;
    const body = new URLSearchParams(new FormData(form));
    body.set("step", "preview");
    const answer = await fetch(form.action, { method: "POST", body });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("preview");
    if (next && mine === asked) document.getElementById("preview").replaceWith(next);
  }

  form.addEventListener("change", (event) => {
    if (event.target.name !== "reason") preview().catch(() => {}); // the button is still there
  });
})();
