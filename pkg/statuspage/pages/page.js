// The page is whole without this: it only keeps it up to date.
(() => {
  const main = document.querySelector("main"), live = document.getElementById("live");
  let source;
  if (!document.body.dataset.live) return; // a form
  const connect = () => {
    source = new EventSource(document.body.dataset.live);
    source.onopen = () => { live.className = "on"; };
    source.onerror = () => { live.className = "off"; };
    source.onmessage = (message) => {
      live.className = "on";
      // Whoever types or selects is not disturbed.
      const active = document.activeElement;
      if (active && active.tagName === "INPUT" || String(getSelection()) !== "") return;
      const open = [...main.querySelectorAll("details")].map((d) => d.open);
      main.innerHTML = message.data;
      main.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
    };
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source.close(); live.className = ""; } else connect();
  });
  connect();
})();
