// Progressive enhancement of the pages: sortable tables, a filter, and automatic updates
// that keep the focus, the selection and the scroll position. The pages also work without
// this script.
'use strict';

(() => {
  const refreshInterval = 10000; // milliseconds
  const fetchTimeout = 8000; // milliseconds
  const noValue = '–';
  const orders = new Map(); // by table id: {column, descending}
  const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'});
  const announcement = document.getElementById('announcement');
  const problem = document.getElementById('problem');

  // announce sets the text of the live region for screen readers.
  function announce(text) {
    announcement.textContent = text;
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
      announce(`Sorted by ${header.textContent}, ${next.descending ? 'descending' : 'ascending'}`);
    } else {
      orders.delete(table.id);
      announce('Sorted in the default order');
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
    let announceTimer;
    filter.addEventListener('input', () => {
      const result = applyFilter();
      clearTimeout(announceTimer); // announce only after the last key stroke
      announceTimer = setTimeout(() => announce(result), 800);
    });
  }

  // Updates

  function patchRow(row, fresh) {
    row.className = fresh.className;
    Array.from(fresh.cells).forEach((cell, i) => {
      if (!row.cells[i].isEqualNode(cell)) {
        row.cells[i].replaceWith(document.importNode(cell, true));
      }
    });
  }

  // patchTable updates the changed cells of a table. It does not touch the others, so that
  // the focus and the selection in them are kept.
  function patchTable(table, fresh) {
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
    for (const element of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(element.id);
      if (element.tHead) {
        patchTable(element, next);
      } else if (!element.isEqualNode(next)) {
        const changed = element.hasAttribute('data-announce') && element.textContent !== next.textContent;
        element.replaceChildren(...document.importNode(next, true).childNodes);
        if (changed) {
          announce(element.textContent.trim() || 'All calls succeed again');
        }
      }
    }
    applyFilter();
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

  function showProblem(text) {
    if (problem.textContent !== text) {
      problem.textContent = text;
      problem.hidden = text === '';
      announce(text || 'The exporter is reachable again');
    }
  }

  let refreshing = false;

  async function refresh() {
    if (refreshing || document.hidden) {
      return;
    }
    refreshing = true;
    try {
      const response = await fetch(location.pathname + location.search, {cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(fetchTimeout)});
      if (response.status === 404) {
        showProblem('This team is no longer configured. The data shown is old.');
        return;
      }
      if (!response.ok) {
        showProblem(`The exporter responds with status ${response.status}. The data shown is old. The page retries every few seconds.`);
        return;
      }
      const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
      if (!sameStructure(fresh)) {
        location.reload();
        return;
      }
      showProblem('');
      patch(fresh);
    } catch {
      showProblem('The exporter does not respond. The data shown is old. The page retries every few seconds.');
    } finally {
      refreshing = false;
    }
  }

  document.querySelectorAll('table[data-live]').forEach(makeSortable);
  if (document.querySelector('[data-live]')) {
    setInterval(refresh, refreshInterval);
    document.addEventListener('visibilitychange', refresh);
  }
})();
