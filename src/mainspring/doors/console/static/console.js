// What a page does by itself: pulse, times, picking rows, confirming, copying, keys. Without it everything still works.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("has-script");
  const language = root.lang || "en";

  // --- live: a beat from the server asks the live part of the page to be fetched again
  const busy = () => {
    const live = document.getElementById("live");
    if (!live || document.querySelector("dialog[open]")) return true;
    if (live.querySelector("details[open]:not(.keeps), [name=pick]:checked, [data-hold]")) return true;
    const focused = document.activeElement;
    if (focused && live.contains(focused) && focused.matches("input, select, textarea")) return true;
    return live.contains(getSelection().anchorNode) && !getSelection().isCollapsed;
  };
  const beat = () => { if (!document.hidden && !busy()) document.body.dispatchEvent(new Event("pulse")); };
  let source = null;
  let polling = 0;
  const listen = () => {
    clearInterval(polling);
    if (source) source.close();
    source = null;
    if (document.hidden || !document.body.dataset.pulse) return;
    source = new EventSource(document.body.dataset.pulse);
    source.addEventListener("pulse", beat);
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) polling = setInterval(beat, 10000);
    });
  };
  document.addEventListener("visibilitychange", () => { listen(); if (!document.hidden) beat(); });
  addEventListener("pagehide", () => { if (source) source.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  // --- times
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const away = (seconds) => {
    for (const [unit, size] of units) {
      if (Math.abs(seconds) >= size * (unit === "second" ? 0 : 2) || unit === "second") return relative.format(Math.trunc(seconds / size), unit);
    }
    return "";
  };
  const tick = () => document.querySelectorAll("time[data-distance]").forEach((element) => {
    const text = away(Math.round((Date.parse(element.dateTime) - Date.now()) / 1000));
    if (element.textContent !== text) element.textContent = text;
  });
  const two = (value) => String(value).padStart(2, "0");
  const here = (scope) => scope.querySelectorAll("time[data-here]").forEach((element) => {
    const at = new Date(element.dateTime);
    element.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  });

  // --- rows that are picked
  const count = () => document.querySelectorAll("[data-picked]").forEach((element) => {
    const picks = [...document.querySelectorAll("[name=pick]")];
    const chosen = picks.filter((one) => one.checked).length;
    element.hidden = chosen === 0;
    element.querySelectorAll("[data-count]").forEach((place) => { place.textContent = String(chosen); });
    const all = document.querySelector("[data-pick-all]");
    if (all) { all.checked = chosen > 0 && chosen === picks.length; all.indeterminate = chosen > 0 && chosen < picks.length; }
  });
  document.addEventListener("change", (event) => {
    const element = event.target;
    if (element.matches("[data-pick-all]")) document.querySelectorAll("[name=pick]").forEach((one) => { one.checked = element.checked; });
    if (element.matches("[data-pick-all], [name=pick]")) count();
    if (element.closest("form[data-auto]")) element.closest("form").requestSubmit();
    if (element.matches("[data-shows]")) shows();
  });
  // A field that belongs to one choice: data-for="name=value" is hidden while the choice is another.
  const shows = () => document.querySelectorAll("[data-for]").forEach((element) => {
    const [name, value] = element.dataset.for.split("=");
    const chosen = (element.closest("form") || document).querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
    element.hidden = !chosen || !value.split("|").includes(chosen.value);
  });

  // --- asking first, dialogs, copying
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const asked = (event.submitter && event.submitter.dataset.confirm) || form.dataset.confirm;
    if (asked && !confirm(asked)) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);
  document.addEventListener("click", async (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) document.querySelector(opener.dataset.open).showModal();
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      await navigator.clipboard.writeText(document.querySelector(copier.dataset.copy).textContent);
      copier.dataset.was = copier.dataset.was || copier.textContent;
      copier.textContent = "✓";
      setTimeout(() => { copier.textContent = copier.dataset.was; }, 1200);
    }
  });

  // --- a text of code: Tab writes two spaces; after Escape it moves on, as elsewhere
  let leaving = false;
  document.addEventListener("keydown", (event) => {
    const area = event.target;
    if (!area.matches("textarea[data-tab]")) return;
    if (event.key === "Tab" && !event.shiftKey && !leaving) { event.preventDefault(); area.setRangeText("  ", area.selectionStart, area.selectionEnd, "end"); }
    leaving = event.key === "Escape" || (leaving && event.key === "Shift");
  });

  // --- keys
  let gone = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const at = (selector) => document.querySelector(selector);
    if (event.key === "/") { const search = at("input[type=search]"); if (search) { event.preventDefault(); search.focus(); } }
    else if (event.key === "?") at("#keys").showModal();
    else if (event.key === "n") { const made = at("[data-new]"); if (made) made.click(); }
    else if (event.key === "g") gone = Date.now();
    else if (/^[1-8]$/.test(event.key) && Date.now() - gone < 1500) document.querySelectorAll(".bar nav a")[Number(event.key) - 1].click();
  });

  const begin = () => { here(document); tick(); count(); shows(); };
  document.addEventListener("DOMContentLoaded", () => { begin(); listen(); setInterval(tick, 1000); });
  document.addEventListener("htmx:after:swap", begin);
})();
