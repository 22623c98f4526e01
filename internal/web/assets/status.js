// Progressive enhancement of the pages: ages that tick, sortable tables, a filter, and
// automatic updates that keep the focus, the selection and the scroll position. The pages
// also work without this script.
'use strict';

(() => {
  const refreshInterval = 10000; // milliseconds
  const fetchTimeout = 8000; // milliseconds
  const chimePause = 600000; // milliseconds between two chimes
  const noValue = '–';
  const texts = JSON.parse(document.getElementById('texts').textContent);
  const orders = new Map(); // by table id: {column, descending}
  const collator = new Intl.Collator(document.documentElement.lang, {numeric: true, sensitivity: 'base'});
  const announcement = document.getElementById('announcement');
  const problem = document.getElementById('problem');

  // format replaces the verbs of a text by the values in turn.
  function format(text, ...values) {
    return text.replace(/%[ds]/g, () => values.shift());
  }

  // announce sets the text of the live region for screen readers.
  function announce(text) {
    announcement.textContent = text;
  }

  // Ages

  // The server's clock counts, because that of the computer may be wrong. Date.now goes on
  // while a computer sleeps, unlike performance.now.
  let clockOffset = 0; // milliseconds from the clock of the computer to that of the server

  function setClock(page) {
    clockOffset = Number(page.documentElement.dataset.now) - Date.now();
  }

  function ageText(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    if (seconds < 60) return format(texts.seconds, seconds);
    if (seconds < 3600) return format(texts.minutes, Math.floor(seconds / 60));
    if (seconds < 172800) return format(texts.hours, Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60);
    return format(texts.days, Math.floor(seconds / 86400));
  }

  function setText(element, text) {
    if (element && element.textContent !== text) {
      element.textContent = text;
    }
  }

  // tick shows the ages of now, and marks data that has become old.
  function tick() {
    const now = Date.now() + clockOffset;
    for (const element of document.querySelectorAll('[data-received]')) {
      const {received, old, veryOld, fresh} = element.dataset;
      const age = now - Number(received);
      let shown = fresh;
      if (fresh !== 'unknown' && fresh !== 'off') {
        if (age >= Number(veryOld)) shown = 'unknown';
        else if (age >= Number(old)) shown = 'old';
      }
      if (element.dataset.shown !== shown) {
        element.dataset.shown = shown;
      }
      setText(element.querySelector('.age'), ageText(age));
      setText(element.querySelector('.ago'), format(texts.ago, ageText(age)));
    }
  }

  // Sorting

  function valueOf(row, column, isNumber) {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    if (text === '' || text === noValue) {
      return null;
    }
    const value = isNumber ? Number.parseFloat(text) : text;
    return Number.isNaN(value) ? null : value;
  }

  // sortTable sorts the rows of a table by the selected column, or in the order of the
  // server. It does not touch the document if the order is already right.
  function sortTable(table) {
    const rows = Array.from(table.tBodies[0].rows);
    const sorted = rows.slice().sort((a, b) => a.serverIndex - b.serverIndex);
    const by = orders.get(table.id);
    if (by) {
      const isNumber = 'number' in table.tHead.rows[0].cells[by.column].dataset;
      const values = new Map(rows.map((row) => [row, valueOf(row, by.column, isNumber)]));
      const direction = by.descending ? -1 : 1;
      sorted.sort((a, b) => {
        const [x, y] = [values.get(a), values.get(b)];
        if (x === null || y === null) { // rows without a value are always last
          return (x === null) - (y === null);
        }
        return direction * (isNumber ? x - y : collator.compare(x, y));
      });
    }
    if (sorted.some((row, i) => row !== rows[i])) {
      const focused = document.activeElement;
      table.tBodies[0].append(...sorted);
      if (focused !== document.activeElement) { // moving the row removed the focus
        focused.focus({preventScroll: true});
      }
    }
  }

  // toggleSort selects the next order of a column: first the default direction of the
  // column, then the opposite direction, then the order of the server.
  function toggleSort(table, column) {
    const header = table.tHead.rows[0].cells[column];
    const numberColumn = 'number' in header.dataset; // descending by default
    const current = orders.get(table.id);
    let next = {column, descending: numberColumn};
    if (current && current.column === column) {
      next = current.descending === numberColumn ? {column, descending: !numberColumn} : null;
    }
    for (const cell of table.tHead.rows[0].cells) {
      cell.removeAttribute('aria-sort');
    }
    if (next) {
      orders.set(table.id, next);
      header.setAttribute('aria-sort', next.descending ? 'descending' : 'ascending');
      announce(format(texts.sorted, header.textContent) + (next.descending ? ' ↓' : ' ↑'));
    } else {
      orders.delete(table.id);
      announce(texts.unsorted);
    }
    sortTable(table);
  }

  function makeSortable(table) {
    Array.from(table.tBodies[0].rows).forEach((row, i) => { row.serverIndex = i; });
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      if ('unsorted' in header.dataset) {
        return;
      }
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      button.addEventListener('click', () => toggleSort(table, column));
      header.append(button);
    });
  }

  // Filter

  const filter = document.getElementById('filter');

  // fold removes what a person may leave out when typing: capitals and accents.
  function fold(text) {
    return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  }

  // applyFilter hides the rows that the filter does not match. It returns the result as text.
  function applyFilter() {
    const table = filter && document.getElementById(filter.dataset.filters);
    if (!table) {
      return '';
    }
    const wanted = fold(filter.value.trim());
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !fold(row.textContent).includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    return format(texts.shown, shown, table.tBodies[0].rows.length);
  }

  if (filter) {
    filter.closest('.filter').hidden = false;
    filter.value = new URLSearchParams(location.search).get('filter') ?? '';
    applyFilter();
    let announceTimer;
    filter.addEventListener('input', () => {
      const result = applyFilter();
      const address = new URL(location);
      if (filter.value) address.searchParams.set('filter', filter.value);
      else address.searchParams.delete('filter');
      history.replaceState(null, '', address); // so that it survives a reload
      clearTimeout(announceTimer); // announce only after the last key stroke
      announceTimer = setTimeout(() => announce(result), 800);
    });
  }

  // Updates

  function patchAttributes(element, fresh) {
    for (const {name} of Array.from(element.attributes)) {
      if (!fresh.hasAttribute(name) && name !== 'hidden') element.removeAttribute(name);
    }
    for (const {name, value} of fresh.attributes) {
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
  }

  function patchRow(row, fresh) {
    patchAttributes(row, fresh);
    Array.from(fresh.cells).forEach((cell, i) => {
      if (!row.cells[i].isEqualNode(cell)) {
        row.cells[i].replaceWith(document.importNode(cell, true));
      }
    });
  }

  // patchTable updates the changed cells of a table. It does not touch the others, so that
  // the focus and the selection in them are kept.
  function patchTable(table, fresh) {
    patchAttributes(table, fresh);
    const removed = new Map(Array.from(table.tBodies[0].rows, (row) => [row.dataset.key, row]));
    Array.from(fresh.tBodies[0].rows).forEach((freshRow, i) => {
      let row = removed.get(freshRow.dataset.key);
      if (row) {
        removed.delete(freshRow.dataset.key);
        patchRow(row, freshRow);
      } else {
        row = document.importNode(freshRow, true);
        table.tBodies[0].append(row);
      }
      row.serverIndex = i;
    });
    for (const row of removed.values()) {
      row.remove();
    }
    sortTable(table);
  }

  function patch(fresh) {
    document.title = fresh.title;
    setClock(fresh);
    const news = [];
    for (const element of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(element.id);
      const before = spoken(element);
      if (element.tHead) {
        patchTable(element, next);
      } else if (!element.isEqualNode(next)) {
        patchAttributes(element, next);
        element.replaceChildren(...document.importNode(next, true).childNodes);
      }
      if (element.hasAttribute('data-announce') && spoken(element) !== before) {
        news.push(spoken(element) || texts.fine);
      }
    }
    if (news.length) {
      announce(news.join('. '));
    }
    applyFilter();
    tick();
    showSound();
  }

  // spoken returns what of an element is announced when it changes: its headline, if it has one.
  function spoken(element) {
    return (element.querySelector('.headline .fresh') ?? element).textContent.trim();
  }

  // sameStructure returns whether the new page has the same assets, elements and columns as
  // this one. They differ after an update of the exporter or its configuration.
  function sameStructure(fresh) {
    return fresh.documentElement.dataset.assets === document.documentElement.dataset.assets &&
      Array.from(document.querySelectorAll('[data-live]')).every((element) => {
        const next = fresh.getElementById(element.id);
        return next && (!element.tHead || next.tHead && next.tHead.textContent.trim() === element.tHead.textContent.trim());
      });
  }

  // showProblem says over everything, and in the title, that the page cannot be updated.
  function showProblem(text) {
    document.body.classList.toggle('gone', text !== '');
    if (text) {
      document.title = '⚠ ' + texts.disconnected;
    }
    if (problem.textContent !== text) {
      problem.textContent = text;
      problem.hidden = text === '';
      if (!text) announce(texts.back);
    }
  }

  // Sound, for walls whose address ends in ?chime=on. Browsers allow it after a click or a key.

  const chimeWanted = new URLSearchParams(location.search).get('chime') === 'on';
  let audio = null;
  let lastChime = -chimePause;
  let alarms = currentAlarms();

  function currentAlarms() {
    return new Set(Array.from(document.querySelectorAll('.tile[data-shown="unattended"], .tile[data-shown="above"]'), (tile) => tile.dataset.key));
  }

  function showSound() {
    const hint = document.getElementById('sound');
    if (hint) {
      hint.hidden = !chimeWanted || audio !== null;
    }
  }

  function chime() {
    const before = alarms;
    alarms = currentAlarms();
    const begins = Array.from(alarms).some((key) => !before.has(key));
    if (!audio || !begins || performance.now() - lastChime < chimePause) {
      return;
    }
    lastChime = performance.now();
    [880, 660].forEach((frequency, i) => {
      const tone = audio.createOscillator(), volume = audio.createGain();
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0.3, audio.currentTime + i * 0.3);
      volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + i * 0.3 + 0.6);
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + i * 0.3);
      tone.stop(audio.currentTime + i * 0.3 + 0.6);
    });
  }

  if (chimeWanted) {
    const enable = () => {
      audio ??= new AudioContext();
      showSound();
    };
    addEventListener('pointerdown', enable);
    addEventListener('keydown', enable);
    showSound();
  }

  let refreshing = false;

  async function refresh() {
    if (refreshing) {
      return;
    }
    refreshing = true;
    try {
      const response = await fetch(location.pathname + location.search, {cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(fetchTimeout)});
      if (response.status === 404) {
        showProblem(texts.removed);
        return;
      }
      if (!response.ok) {
        showProblem(format(texts.status, response.status));
        return;
      }
      const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
      if (!sameStructure(fresh)) {
        location.reload();
        return;
      }
      showProblem('');
      patch(fresh);
      chime();
    } catch {
      showProblem(texts.gone);
    } finally {
      refreshing = false;
    }
  }

  document.querySelectorAll('table[data-live]').forEach(makeSortable);
  setClock(document);
  if (document.querySelector('[data-live]')) {
    tick();
    setInterval(tick, 1000);
    setInterval(refresh, refreshInterval);
    document.addEventListener('visibilitychange', refresh);
    addEventListener('pageshow', (event) => { if (event.persisted) refresh(); }); // from the history of the browser
  }
})();
