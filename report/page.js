// The page's own script, beside pytest-html's: what was unfolded, sections, the search, the keyboard, printing.
// pytest-html's script draws the table anew whenever it is sorted or filtered; `tidy` then puts all of that back.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)]
  const search = document.getElementById('search')
  const found = document.getElementById('found')
  const bySection = document.getElementById('by_section')
  const opened = new Map()
  const texts = new Map()
  const rows = () => all('#results-table > tbody.results-table-row').filter((body) => body.querySelector('.collapsible'))

  // Evidence is folded by the browser's own means, so that the buttons and what was unfolded are seen to here.
  const evidence = () => all('details.evidence')
  const row = (details) => details.closest('tbody')?.id
  document.addEventListener('toggle', ({ target }) => {
    if (target.matches('details.evidence')) opened.set(row(target), target.open)
  }, true)
  document.addEventListener('click', (event) => {
    const button = event.target.id
    if (button !== 'show_all_details' && button !== 'hide_all_details') return
    event.stopPropagation()
    evidence().forEach((details) => { details.open = button === 'show_all_details' })
  }, true)
  const unfold = () => evidence().forEach((details) => {
    if (opened.has(row(details))) details.open = opened.get(row(details))
  })

  const heads = () => all('th.sortable').forEach((head) => {
    head.setAttribute('aria-sort', head.classList.contains('asc') ? 'ascending'
      : head.classList.contains('desc') ? 'descending' : 'none')
  })

  // Rows come sorted by outcome and severity; here they are gathered by section, those with the worst first.
  const SAID = { 0: 'broken', 1: 'can’t tell', 2: 'set aside', 3: 'held' }
  const KINDS = { 0: 'broken', 1: 'cannot-tell', 2: 'set-aside', 3: 'holds' }
  const gather = () => {
    all('tbody.section').forEach((one) => one.remove())
    const head = document.querySelector('th[data-column-type="guide"]')
    const sorted = head?.classList.contains('asc') || head?.classList.contains('desc')
    bySection?.setAttribute('aria-pressed', Boolean(sorted))
    if (!sorted) return
    const sections = new Map()
    rows().forEach((body) => {
      const cell = body.querySelector('.col-guide')
      const name = cell?.dataset.section ?? ''
      const turn = Number(body.querySelector('.collapsible').dataset.id.slice('test_'.length))
      const outcome = Number(cell?.textContent[0] ?? 3)
      const section = sections.get(name) ?? { name, turn, worst: 3, counts: [0, 0, 0, 0], bodies: [] }
      section.turn = Math.min(section.turn, turn)
      section.worst = Math.min(section.worst, outcome)
      section.counts[outcome] += 1
      section.bodies.push(body)
      sections.set(name, section)
    })
    const table = document.getElementById('results-table')
    const columns = all('th:not([hidden])', table.tHead).length
    const order = [...sections.values()].sort((a, b) => a.worst - b.worst || a.turn - b.turn)
    order.forEach((section) => {
      const body = document.createElement('tbody')
      body.className = `section ${KINDS[section.worst]}`
      const cell = document.createElement('th')
      cell.colSpan = columns
      cell.scope = 'colgroup'
      const title = document.createElement('h3')
      title.textContent = section.name
      const counts = document.createElement('small')
      counts.textContent = section.counts.map((number, kind) => number ? `${number} ${SAID[kind]}` : '')
        .filter(Boolean).join(', ')
      title.append(' ', counts)
      cell.append(title)
      body.insertRow().append(cell)
      table.append(body, ...section.bodies)
    })
  }
  bySection?.addEventListener('click', () => {
    if (bySection.getAttribute('aria-pressed') !== 'true') document.querySelector('th[data-column-type="guide"]').click()
  })

  const text = (body) => {
    if (!texts.has(body.id)) {
      const copy = body.cloneNode(true)
      all('[hidden]', copy).forEach((one) => one.remove())
      texts.set(body.id, copy.textContent.toLowerCase().replace(/\s+/g, ' '))
    }
    return texts.get(body.id)
  }
  const look = () => {
    if (!search) return
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    const bodies = rows()
    let shown = 0
    bodies.forEach((body) => {
      body.hidden = !words.every((word) => text(body).includes(word))
      shown += body.hidden ? 0 : 1
    })
    all('tbody.section').forEach((heading) => {
      let next = heading.nextElementSibling
      while (next && next.hidden) next = next.nextElementSibling
      heading.hidden = !next || next.classList.contains('section')
    })
    const said = words.length ? `${shown} of ${bodies.length} found` : ''
    if (found.textContent !== said) found.textContent = said
  }
  search?.addEventListener('input', look)
  search?.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !search.value) return
    event.preventDefault()
    search.value = ''
    look()
  })

  // A link of the summary leads to its row also when the search has hidden that.
  const show = (link) => {
    const target = document.getElementById(decodeURIComponent(link.slice(1)))
    if (target?.hidden && search) {
      search.value = ''
      look()
    }
    return target
  }

  const tidy = () => {
    unfold()
    heads()
    gather()
    look()
  }
  document.addEventListener('click', ({ target }) => {
    const link = target.closest?.('a[href^="#"]')
    if (link) {
      show(link.getAttribute('href'))
    } else if (target.matches?.('th.sortable, th.sortable button, input[name="filter_checkbox"]')) {
      tidy()
      // Its row was moved to the new table, which takes the focus away.
      target.closest('th')?.querySelector('button')?.focus()
    }
  })

  // On paper nothing can be unfolded.
  let closed = []
  window.addEventListener('beforeprint', () => {
    closed = all('tbody.failed details.evidence:not([open])')
    closed.forEach((details) => { details.open = true })
  })
  window.addEventListener('afterprint', () => closed.forEach((details) => { details.open = false }))

  tidy()
  if (location.hash) show(location.hash)?.scrollIntoView()
})()
