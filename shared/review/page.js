"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const { study, maxCommentCharacters, pairs } = JSON.parse(find("document").textContent);
  // Ids of pairs are drawn anew for each study, so that one of the same name starts empty.
  const key = `goldsmith preference ${study} ${pairs[0].id}`;
  const [, , , adapter, , id] = study.split("/");
  const buttons = [...document.querySelectorAll("[data-verdict]")];
  const keys = { "1": "LEFT", "2": "RIGHT", "0": "EQUAL", "b": "BOTH_BAD", "B": "BOTH_BAD" };
  let verdicts = new Map();
  let place = 0;
  let kept = true;
  let downloaded = true;

  const judged = () => pairs.filter((pair) => verdicts.get(pair.id)?.verdict).length;
  const open = (from) => {
    const order = [...pairs.keys()].map((step) => (from + step) % pairs.length);
    return order.find((index) => !verdicts.get(pairs[index].id)?.verdict);
  };

  function restore() {
    try {
      const known = new Set(pairs.map((pair) => pair.id));
      const stored = JSON.parse(localStorage.getItem(key) ?? "[]");
      verdicts = new Map(stored.filter(([pair]) => known.has(pair)));
    } catch {
      kept = false;
    }
  }

  function save() {
    downloaded = false;
    try {
      localStorage.setItem(key, JSON.stringify([...verdicts]));
    } catch {
      kept = false;
    }
  }

  function fill(element, segments) {
    element.replaceChildren(...segments.map(([text, differs]) => {
      const part = document.createElement(differs ? "mark" : "span");
      part.textContent = text;
      return part;
    }));
    element.scrollTop = 0;
  }

  function tell(text) {
    find("notice").textContent = text;
    find("notice").hidden = !text;
  }

  function showVerdict() {
    const verdict = verdicts.get(pairs[place].id)?.verdict;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    find("left-card").classList.toggle("chosen", verdict === "LEFT");
    find("right-card").classList.toggle("chosen", verdict === "RIGHT");
    const done = judged();
    find("progress").max = pairs.length;
    find("progress").value = done;
    find("count").textContent = `${done} of ${pairs.length} judged`;
    find("download").disabled = done === 0;
    find("open").disabled = done === pairs.length;
    if (!kept) {
      tell("This browser keeps nothing for this file: download your verdicts before you close or reload it.");
    } else if (done === pairs.length) {
      tell("All pairs are judged. Download your verdicts and send the file back; you can still change them here.");
    } else {
      tell("");
    }
  }

  function show(index) {
    place = Math.max(0, Math.min(pairs.length - 1, index));
    const pair = pairs[place];
    find("place").textContent = `${place + 1} of ${pairs.length}`;
    find("input").textContent = pair.input;
    fill(find("left"), pair.left);
    fill(find("right"), pair.right);
    find("comment").value = verdicts.get(pair.id)?.comment ?? "";
    find("previous").disabled = place === 0;
    find("next").disabled = place === pairs.length - 1;
    showVerdict();
  }

  function change(part) {
    const pair = pairs[place].id;
    verdicts.set(pair, { ...verdicts.get(pair), ...part });
    save();
  }

  function judge(verdict) {
    change({ verdict });
    show(place + 1);
  }

  function lines() {
    return pairs.filter((pair) => verdicts.get(pair.id)?.verdict).map((pair) => {
      const { verdict, comment = "" } = verdicts.get(pair.id);
      return `${JSON.stringify({ study, pair: pair.id, verdict, comment })}\n`;
    }).join("");
  }

  function download() {
    const address = URL.createObjectURL(new Blob([lines()], { type: "application/jsonl" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = `${id}-verdicts.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    downloaded = true;
  }

  function restart() {
    if (confirm("Forget all verdicts of this study in this browser?")) {
      verdicts = new Map();
      save();
      downloaded = true;
      show(0);
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target === find("comment")) {
      return;
    }
    if (keys[event.key]) {
      event.preventDefault();
      judge(keys[event.key]);
    } else if (event.key === "ArrowLeft") {
      show(place - 1);
    } else if (event.key === "ArrowRight") {
      show(place + 1);
    }
  });
  for (const button of buttons) {
    button.addEventListener("click", () => judge(button.dataset.verdict));
  }
  find("comment").maxLength = maxCommentCharacters;
  find("comment").addEventListener("input", (event) => change({ comment: event.target.value }));
  find("previous").addEventListener("click", () => show(place - 1));
  find("next").addEventListener("click", () => show(place + 1));
  find("open").addEventListener("click", () => show(open(place) ?? place));
  find("download").addEventListener("click", download);
  find("restart").addEventListener("click", restart);
  window.addEventListener("beforeunload", (event) => {
    if (!kept && !downloaded) {
      event.preventDefault();
    }
  });
  find("study").textContent = `${adapter} · ${id}`;
  restore();
  show(open(0) ?? 0);
})();
