// Shows times as "4 min ago" and as the reader's local time, and keeps them up to date.
"use strict";

const Times = (() => {
  const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
  const seconds = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

  function at(moment) {
    const today = moment.toDateString() === new Date().toDateString();
    return (today ? "" : day.format(moment) + " ") + clock.format(moment);
  }

  function second(moment) {
    const text = at(moment);
    return text.slice(0, text.length - clock.format(moment).length) + seconds.format(moment);
  }

  // On a past board, how long before the moment of the board it was.
  function ago(moment, past) {
    const s = Math.round(((past || Date.now()) - moment) / 1000);
    const size = Math.abs(s);
    if (size < 10) return past ? "just then" : "just now";
    const [n, unit] = size < 90 ? [size, "s"] : size < 5400 ? [Math.round(size / 60), "min"]
      : size < 129600 ? [Math.round(size / 3600), "h"] : [Math.round(size / 86400), "d"];
    if (past) return `${n} ${unit} ${s < 0 ? "after" : "before"}`;
    return s < 0 ? `in ${n} ${unit}` : `${n} ${unit} ago`;
  }

  const forms = {
    ago,
    at,
    clock: at,
    second,
    both: (moment, past) => `${at(moment)} (${ago(moment, past)})`,
  };

  function tell(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime), past = element.closest("[data-now]");
      const text = (forms[element.dataset.form] || at)(moment, past && new Date(past.dataset.now));
      // Only texts that differ are changed, so that a selection survives; and the node itself stays, so that a
      // screen reader does not read a banner again each minute.
      if (element.firstChild.data !== text) element.firstChild.data = text;
      if (!element.title) element.title = moment.toLocaleString();
    }
  }

  tell(document);
  setInterval(() => tell(document), 5000);
  return { tell, second, seconds: (moment) => seconds.format(moment) };
})();
