"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (words, event) => {
    tip.textContent = words;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  };
  const canvas = document.getElementById("map");
  document.addEventListener("pointermove", event => {
    const target = event.target.closest("[data-tip]");
    if (target) show(target.dataset.tip, event);
    else if (event.target !== canvas) tip.hidden = true;
  });

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    document.dispatchEvent(new Event("repaint"));
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const x = key(a), y = key(b), order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
          return down ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", () => navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
      .then(() => { button.textContent = "copied"; }, () => { button.textContent = "copy by hand"; }));
  }

  const filter = document.getElementById("filter");
  if (filter) {
    const cards = [...document.querySelectorAll(".example[data-picked]")], shown = document.getElementById("shown");
    const words = cards.map(card => card.textContent.toLowerCase());
    const apply = () => {
      const which = filter.elements.which.value, source = filter.elements.source.value, word = filter.elements.word.value.toLowerCase();
      let count = 0;
      cards.forEach((card, i) => {
        card.hidden = (which !== "" && card.dataset.picked !== which) || (source !== "" && card.dataset.source !== source) || !words[i].includes(word);
        count += !card.hidden;
      });
      shown.textContent = count + " of " + cards.length + " shown";
    };
    filter.hidden = false;
    filter.addEventListener("input", apply);
    filter.addEventListener("submit", event => event.preventDefault());
    apply();
  }

  if (!canvas) return;
  const data = JSON.parse(document.getElementById("points").textContent), controls = document.getElementById("map-controls");
  controls.hidden = false;
  const place = i => [14 + data.x[i] / 1000 * (canvas.clientWidth - 28), 14 + (1 - data.y[i] / 1000) * (canvas.clientHeight - 28)];
  const visible = i => {
    const which = controls.elements.which.value, source = controls.elements.source.value;
    return (which === "" || (which === "1") === (data.rank[i] >= 0)) && (source === "" || data.source[i] === +source);
  };
  const paint = () => {
    const density = devicePixelRatio || 1, pen = canvas.getContext("2d");
    // a canvas knows no light-dark(): the colours are read back from elements that use them
    const colours = [...document.querySelectorAll("#legend .key")].map(key => getComputedStyle(key).backgroundColor);
    const rim = getComputedStyle(document.body).color;
    canvas.width = canvas.clientWidth * density;
    canvas.height = canvas.clientHeight * density;
    pen.scale(density, density);
    for (const picked of [false, true]) {
      pen.globalAlpha = picked ? 0.95 : 0.35;
      pen.strokeStyle = rim;
      pen.lineWidth = 0.8;
      for (let i = 0; i < data.x.length; i++) {
        if ((data.rank[i] >= 0) !== picked || !visible(i)) continue;
        const [x, y] = place(i);
        pen.fillStyle = colours[Math.min(data.colour[data.source[i]], colours.length - 1)];
        pen.beginPath();
        pen.arc(x, y, picked ? 3.4 : 2.2, 0, 7);
        pen.fill();
        if (picked) pen.stroke();
      }
    }
  };
  canvas.addEventListener("pointermove", event => {
    const box = canvas.getBoundingClientRect(), mx = event.clientX - box.left, my = event.clientY - box.top;
    let best = -1, near = 144;
    for (let i = 0; i < data.x.length; i++) {
      if (!visible(i)) continue;
      const [x, y] = place(i), gap = (x - mx) ** 2 + (y - my) ** 2;
      if (gap <= near) { near = gap; best = i; }
    }
    if (best < 0) { tip.hidden = true; return; }
    show(data.id[best] + "\n" + data.names[data.source[best]] + (data.rank[best] >= 0 ? " · rank " + data.rank[best].toLocaleString("en") : " · not picked")
      + (data.text[best] ? "\n" + data.text[best] : ""), event);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  controls.addEventListener("input", paint);
  addEventListener("resize", paint);
  document.addEventListener("repaint", paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
})();
