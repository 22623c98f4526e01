// What a browser adds to the pages, which are whole without it: tables that are
// sorted by their headers, a filter, and new data every few seconds without the
// place being lost.
'use strict';

(() => {
  const pause = 10000; // milliseconds between two looks at the server
  const patience = 8000; // milliseconds after which it does not answer
  const nothing = '–';
  const orders = new Map(); // by table id: {column, descending}
  const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'});
  const said = document.getElementById('said');
  const problem = document.getElementById('problem');

  // say tells those who listen instead of looking.
  function say(text) {
    said.textContent = text;
  }

  // Sorting

  function valueOf(row, column, isNumber) {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    if (text === '' || text === nothing) {
      return null;
    }
    const value = isNumber ? Number.parseFloat(text) : text;
    return Number.isNaN(value) ? null : value;
  }

  // order puts the rows of a table into the order that was asked for, or that in
  // which they came. Only rows that are out of place move.
  function order(table) {
    const rows = Array.from(table.tBodies[0].rows);
    const sorted = rows.slice().sort((a, b) => a.arrival - b.arrival);
    const by = orders.get(table.id);
    if (by) {
      const isNumber = 'number' in table.tHead.rows[0].cells[by.column].dataset;
      const values = new Map(rows.map((row) => [row, valueOf(row, by.column, isNumber)]));
      const direction = by.descending ? -1 : 1;
      sorted.sort((a, b) => {
        const [x, y] = [values.get(a), values.get(b)];
        if (x === null || y === null) { // what there is none of comes last in any order
          return (x === null) - (y === null);
        }
        return direction * (isNumber ? x - y : collator.compare(x, y));
      });
    }
    if (sorted.some((row, i) => row !== rows[i])) {
      const focused = document.activeElement;
      table.tBodies[0].append(...sorted);
      if (focused !== document.activeElement) { // it has been moved
        focused.focus({preventScroll: true});
      }
    }
  }

  // turn asks for the next order of a column: that of use first, then the other
  // way round, then as the rows came.
  function turn(table, column) {
    const header = table.tHead.rows[0].cells[column];
    const first = 'number' in header.dataset;
    const now = orders.get(table.id);
    let next = {column, descending: first};
    if (now && now.column === column) {
      next = now.descending === first ? {column, descending: !first} : null;
    }
    for (const other of table.tHead.rows[0].cells) {
      other.removeAttribute('aria-sort');
    }
    if (next) {
      orders.set(table.id, next);
      header.setAttribute('aria-sort', next.descending ? 'descending' : 'ascending');
      say(`Sorted by ${header.textContent}, ${next.descending ? 'descending' : 'ascending'}`);
    } else {
      orders.delete(table.id);
      say('In the order of the exporter');
    }
    order(table);
  }

  function makeSortable(table) {
    Array.from(table.tBodies[0].rows).forEach((row, i) => { row.arrival = i; });
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      if ('unsorted' in header.dataset) {
        return;
      }
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      button.addEventListener('click', () => turn(table, column));
      header.append(button);
    });
  }

  // Filter

  const filter = document.getElementById('filter');

  function applyFilter() {
    const table = filter && document.getElementById(filter.dataset.filters);
    if (!table) {
      return;
    }
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    return `${shown} of ${table.tBodies[0].rows.length} shown`;
  }

  if (filter) {
    filter.closest('.filter').hidden = false;
    let soon;
    filter.addEventListener('input', () => {
      const result = applyFilter();
      clearTimeout(soon); // not at every letter
      soon = setTimeout(() => say(result), 800);
    });
  }

  // New data

  function patchRow(row, fresh) {
    row.className = fresh.className;
    Array.from(fresh.cells).forEach((cell, i) => {
      if (!row.cells[i].isEqualNode(cell)) {
        row.cells[i].replaceWith(document.importNode(cell, true));
      }
    });
  }

  // patchTable takes over what has changed and leaves all else alone, with the
  // focus, the selection and the place that are in it.
  function patchTable(table, fresh) {
    const gone = new Map(Array.from(table.tBodies[0].rows, (row) => [row.dataset.key, row]));
    Array.from(fresh.tBodies[0].rows).forEach((freshRow, i) => {
      let row = gone.get(freshRow.dataset.key);
      if (row) {
        gone.delete(freshRow.dataset.key);
        patchRow(row, freshRow);
      } else {
        row = document.importNode(freshRow, true);
        table.tBodies[0].append(row);
      }
      row.arrival = i;
    });
    for (const row of gone.values()) {
      row.remove();
    }
    order(table);
  }

  function patch(fresh) {
    for (const part of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(part.id);
      if (part.tHead) {
        patchTable(part, next);
      } else if (!part.isEqualNode(next)) {
        const news = part.hasAttribute('data-news') && part.textContent !== next.textContent;
        part.replaceChildren(...document.importNode(next, true).childNodes);
        if (news) {
          say(part.textContent.trim() || 'All calls are answered again');
        }
      }
    }
    applyFilter();
  }

  // sameShape says whether the new page has the parts and columns of this one.
  // The exporter or its configuration may be another by now.
  function sameShape(fresh) {
    return fresh.documentElement.dataset.edition === document.documentElement.dataset.edition &&
      Array.from(document.querySelectorAll('[data-live]')).every((part) => {
        const next = fresh.getElementById(part.id);
        return next && (!part.tHead || next.tHead && next.tHead.textContent.trim() === part.tHead.textContent.trim());
      });
  }

  function show(trouble) {
    if (problem.textContent !== trouble) {
      problem.textContent = trouble;
      problem.hidden = trouble === '';
      say(trouble || 'The exporter answers again');
    }
  }

  let asking = false;

  async function refresh() {
    if (asking || document.hidden) {
      return;
    }
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search, {cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(patience)});
      if (answer.status === 404) {
        show('This team is no longer configured: what is shown is the last that was known of it.');
        return;
      }
      if (!answer.ok) {
        show(`The exporter answers with status ${answer.status}: what is shown is old, and tried again every few seconds.`);
        return;
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (!sameShape(fresh)) {
        location.reload();
        return;
      }
      show('');
      patch(fresh);
    } catch {
      show('The exporter does not answer: what is shown is old, and tried again every few seconds.');
    } finally {
      asking = false;
    }
  }

  document.querySelectorAll('table[data-live]').forEach(makeSortable);
  if (document.querySelector('[data-live]')) {
    setInterval(refresh, pause);
    document.addEventListener('visibilitychange', refresh);
  }
})();
