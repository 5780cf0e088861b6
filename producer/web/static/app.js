"use strict";
// Replaces what changes on a page by what the server draws; without this script the page reloads.
(() => {
  const now = document.getElementById("now");
  if (!now) return;
  let busy = false;

  async function refresh() {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(now.dataset.refresh, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return;
      const drawn = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = drawn.getElementById("now") || drawn.body;
      const scrolled = [...now.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
      const focused = [...now.querySelectorAll("a, .scroll")].indexOf(document.activeElement);
      now.replaceChildren(...fresh.childNodes);
      [...now.querySelectorAll(".scroll")].forEach((box, index) => {
        box.scrollLeft = scrolled[index] || 0;
      });
      if (focused >= 0) {
        const again = now.querySelectorAll("a, .scroll")[focused];
        if (again) again.focus({ preventScroll: true });
      }
    } catch {
      // The server is away for a moment: the next try may reach it.
    } finally {
      busy = false;
    }
  }

  const poll = () => setInterval(refresh, 3000);
  if (!now.dataset.run || !window.EventSource) {
    poll();
    return;
  }
  const events = new EventSource("/api/events?run=" + encodeURIComponent(now.dataset.run));
  events.onmessage = refresh;
  events.onerror = () => {
    // The run has ended, or a proxy cut the stream.
    events.close();
    refresh();
    poll();
  };
})();
