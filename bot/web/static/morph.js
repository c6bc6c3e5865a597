// Turns one piece of the page into another by changing only what differs, so that focus, scrolling and a selection
// of text survive. It is our own code, sixty lines, because htmx 4 is 37 KB and manages the connection itself, which
// the page must show and time out.
"use strict";

const morph = (() => {
  function attributes(from, to) {
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && name !== "title") from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }

  function alike(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }

  function place(parent, node, before) {
    // moveBefore keeps the focus and the state of the moved element; browsers without it insert it instead.
    if (node.parentNode === parent && parent.moveBefore) parent.moveBefore(node, before);
    else parent.insertBefore(node, before);
  }

  function fresh(node) {
    const copy = document.importNode(node, true);
    if (copy.nodeType === Node.ELEMENT_NODE && copy.classList.contains("tile")) copy.classList.add("new");
    return copy;
  }

  function children(from, to) {
    const wanted = new Set([...to.children].map((child) => child.id).filter(Boolean));
    for (const child of [...from.children]) if (child.id && !wanted.has(child.id)) child.remove();
    const named = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
    let here = from.firstChild;
    for (const next of [...to.childNodes]) {
      const match = next.id ? named.get(next.id) : here && alike(here, next) ? here : null;
      if (!match || match.nodeName !== next.nodeName) {
        from.insertBefore(fresh(next), here);
        continue;
      }
      if (match === here) here = here.nextSibling;
      else place(from, match, here);
      node(match, next);
    }
    while (here) {
      const after = here.nextSibling;
      here.remove();
      here = after;
    }
  }

  function node(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    const sameMoment = from.nodeName === "TIME" && from.dateTime === to.dateTime;
    attributes(from, to);
    if (!sameMoment) children(from, to); // the words of a moment are the reader's own: times.js
  }

  return (from, to) => {
    const focused = document.activeElement && document.activeElement.id;
    node(from, to);
    if (focused && document.activeElement.id !== focused) {
      const again = document.getElementById(focused); // it has moved to another place on the page
      if (again) again.focus({ preventScroll: true });
    }
  };
})();
