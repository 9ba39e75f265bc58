// A list of the API as a table: filters, sort and page are in the address, and all
// of them are the console's work, not the browser's.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Popover, Segmented, Select, Table, type TableColumnType } from 'antd'
import { useDeferredValue, useRef, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { list, listOf, textOf, type Page, type Search } from '../api'
import { LeftOutlined, ReloadOutlined, RightOutlined, SettingOutlined } from '../parts/icons'
import { Empty, Loading, Problem } from '../parts/problem'
import { useNumber } from '../parts/time'
import { remember, usePreference } from '../preferences'
import { Filters, type Filter } from './filters'

export interface Column<T> {
  key: string
  title: string
  render: (row: T) => ReactNode
  width?: number
  /** Sort key of the API. */
  sort?: string
  /** Its natural order; figures and times go downwards. */
  upwards?: boolean
  numeric?: boolean
  /** Shown only when chosen. */
  optional?: boolean
}

/** What the user has chosen: rows of this page by their key, or all that match. */
export interface Selection<T = unknown> {
  keys: (string | number)[]
  rows: T[]
  all: boolean
  /** Filters of the list, as the address has them. */
  filter: Search
  /** Rows that are meant; -1 when they were not counted. */
  count: number
  clear: () => void
}

interface Props<T> {
  /** Names the list where the browser remembers its columns. */
  id: string
  label: string
  path: string
  /** What is asked beside the address: the image whose page it is, say. */
  fixed?: Search
  search: Search
  change: (patch: Search) => void
  columns: Column<T>[]
  filters?: Filter[]
  box?: string
  /** Sort key of the API that holds when the address has none. */
  sort?: string
  rowKey: (row: T) => string | number
  /** What a row is called for those who hear it. */
  rowName: (row: T) => string
  rowClass?: (row: T) => string
  /** What can be done with selected rows; without it rows cannot be selected. */
  actions?: (selection: Selection<T>) => ReactNode
  /** What stands at the end of the toolbar. */
  tools?: ReactNode
  /** What is shown when there is nothing at all. */
  empty?: ReactNode
  expand?: (row: T) => ReactNode
  /** Milliseconds after which it is asked again: for what changes without an event. */
  every?: number
}

const sizes = [25, 50, 100, 200]

/** Rows that a window shows at once: the others of a page follow while it can be used. */
const inSight = 20

/** Cursors of pages that this page has seen, to go back. By list and filters. */
const seen = new Map<string, string[]>()

export function List<T extends object>(p: Props<T>) {
  const { t } = useTranslation()
  const number = useNumber()
  const [picked, setPicked] = useState<ReadonlyMap<string | number, T>>(new Map()) // rows of other pages too
  const [all, setAll] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const density = usePreference('density')
  const columnChoice = usePreference('columns.' + p.id)
  const filters = p.filters ?? []

  const filter: Search = { ...Object.fromEntries(filters.map((f) => [f.key, p.search[f.key]])), ...p.fixed }
  const limit = sizes.includes(Number(textOf(p.search.limit))) ? textOf(p.search.limit) : '50'
  const order: Search = { sort: textOf(p.search.sort) || undefined, order: textOf(p.search.order) || undefined }
  const page = Math.max(1, Math.trunc(Number(textOf(p.search.page))) || 1)
  const cursor = textOf(p.search.cursor)
  const key = JSON.stringify([p.path, filter, order, limit])

  const query = useQuery({
    queryKey: [p.path.split('/')[3] ?? p.path, 'list', p.path, filter, order, limit, cursor],
    queryFn: ({ signal }): Promise<Page<T>> => list<T>(p.path, { ...filter, ...order, limit, cursor }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: p.every,
  })

  const clear = () => {
    setPicked(new Map())
    setAll(false)
  }
  // Whatever changes the list (its own filters, a switch beside it, the way back): what
  // was selected in another list is not meant by what is done in this one.
  const [selectedIn, setSelectedIn] = useState(key)
  if (selectedIn !== key) {
    setSelectedIn(key)
    clear()
  }
  const change = (patch: Search) => p.change({ cursor: undefined, page: undefined, ...patch })
  const turn = (to: number, cursor: string | undefined) => {
    box.current?.scrollTo({ top: 0 })
    p.change({ cursor: cursor || undefined, page: to > 1 ? String(to) : undefined })
  }
  const next = () => {
    const cursors = seen.get(key) ?? []
    cursors[page] = query.data?.next ?? ''
    seen.set(key, cursors)
    turn(page + 1, query.data?.next)
  }
  const previous = () => {
    const before = page > 2 ? seen.get(key)?.[page - 2] : ''
    if (before === undefined) turn(1, undefined)
    else turn(page - 1, before)
  }

  const chosen = columnChoice === '' ? p.columns.filter((c) => !c.optional).map((c) => c.key) : columnChoice.split(',')
  const visible = p.columns.filter((c) => chosen.includes(c.key))
  const sorted = textOf(p.search.sort) || p.sort
  const columns = visible.map((c, at): TableColumnType<T> => {
    const natural = c.upwards ? 'ascend' : 'descend'
    const asked = textOf(p.search.order)
    return {
      key: c.key,
      title: c.title,
      width: c.width,
      align: c.numeric ? 'right' : undefined,
      // Its row's name stays in sight when a wide table is scrolled.
      className: [at === 0 && 'first', c.numeric && 'number'].filter(Boolean).join(' '),
      render: (_, row) => c.render(row),
      ...(c.sort && {
        sorter: true,
        sortDirections: c.upwards ? ['ascend', 'descend', 'ascend'] : ['descend', 'ascend', 'descend'],
        sortOrder: sorted === c.sort ? (asked === 'asc' ? 'ascend' : asked === 'desc' ? 'descend' : natural) : null,
        showSorterTooltip: false,
      }),
    }
  })

  const rows = query.data?.items ?? []
  const total = query.data?.total ?? -1
  const shown = query.isPending || query.isPlaceholderData ? '' : key + cursor
  const whole = useDeferredValue(shown) === shown
  const narrowed = filters.some((f) => textOf(p.search[f.key]) !== '')
  const selected = [...picked.keys()]
  const selection: Selection<T> = { keys: selected, rows: [...picked.values()], all, filter, count: all ? total : selected.length, clear }
  const single = page === 1 && !query.data?.next && rows.length <= Number(sizes[0])
  const keys = rows.map(p.rowKey)
  const complete = keys.length > 0 && keys.every((key) => picked.has(key))
  /** Picks exactly these of the page's rows. */
  const pick = (wanted: readonly (string | number)[]) => {
    const then = new Map(picked)
    rows.forEach((row, at) => {
      const key = keys[at] as string | number
      if (wanted.includes(key)) then.set(key, row)
      else then.delete(key)
    })
    setAll(false)
    setPicked(then)
  }
  const selecting = p.actions !== undefined && (selected.length > 0 || all)

  return (
    <div className="list">
      <div className="toolbar" data-selecting={selecting || undefined}>
        <div className="filters">
          <Filters filters={filters} search={p.search} change={change} box={p.box} />
        </div>
        {selecting && (
          <div className="selection" role="region" aria-label={all ? t('allSelected') : t('nSelected', { count: selected.length })}>
            <strong role="status">{all ? (total < 0 ? t('allSelected') : t('allNSelected', { count: total })) : t('nSelected', { count: selected.length })}</strong>
            {!all && (total < 0 || total > selected.length) && (
              <Button type="link" onClick={() => setAll(true)}>
                {total < 0 ? t('selectAllUncounted') : t('selectAll', { total })}
              </Button>
            )}
            {p.actions?.(selection)}
            <Button type="link" onClick={clear}>
              {t('clearSelection')}
            </Button>
          </div>
        )}
        <div className="end">
          {p.tools}
          <Button type="text" icon={<ReloadOutlined spin={query.isFetching} />} aria-label={t('refresh')} title={t('refresh')} onClick={() => void query.refetch()} />
          <Popover
            trigger="click"
            placement="bottomRight"
            getPopupContainer={(button) => button.parentElement ?? document.body}
            content={
              <div className="stack" role="group" aria-label={t('columns')}>
                <Checkbox.Group
                  style={{ display: 'flex', flexDirection: 'column' }}
                  options={p.columns.map((c) => ({ value: c.key, label: c.title, disabled: chosen.length === 1 && chosen[0] === c.key }))}
                  value={chosen}
                  onChange={(keys) => remember('columns.' + p.id, keys.join(','))}
                />
                {columnChoice !== '' && (
                  <Button size="small" onClick={() => remember('columns.' + p.id, '')}>
                    {t('usualColumns')}
                  </Button>
                )}
                <Segmented
                  aria-label={t('density')}
                  value={density === 'comfortable' ? 'comfortable' : 'compact'}
                  onChange={(value) => remember('density', value === 'compact' ? '' : value)}
                  options={[
                    { value: 'compact', label: t('density.compact') },
                    { value: 'comfortable', label: t('density.comfortable') },
                  ]}
                />
              </div>
            }
          >
            <Button type="text" icon={<SettingOutlined />} aria-label={t('columns')} title={t('columns')} />
          </Popover>
        </div>
      </div>
      {query.error && <Problem error={query.error} retry={() => void query.refetch()} />}
      {/* A refused filter can be mended where it is: only the rows are missing. */}
      {(query.data || !query.error) && (
        <div className="list-box" ref={box} tabIndex={0} role="group" aria-label={p.label} aria-busy={query.isFetching || !whole}>
          <Table<T>
            aria-label={p.label}
            size={density === 'comfortable' ? 'middle' : 'small'}
            columns={columns}
            dataSource={whole ? rows : rows.slice(0, inSight)}
            rowKey={p.rowKey}
            rowClassName={p.rowClass}
            pagination={false}
            loading={{ spinning: query.isPlaceholderData, delay: 200 }}
            expandable={p.expand && { expandedRowRender: p.expand, columnTitle: <span className="visually-hidden">{t('details')}</span> }}
            rowSelection={
              p.actions && {
                columnTitle: (
                  <Checkbox
                    aria-label={t('selectPage')}
                    checked={all || complete}
                    indeterminate={!all && !complete && selected.length > 0}
                    disabled={rows.length === 0}
                    onChange={(event) => pick(event.target.checked ? keys : [])}
                  />
                ),
                selectedRowKeys: all ? keys : selected,
                onChange: (chosen) => pick(chosen as (string | number)[]),
                getCheckboxProps: (row) => ({ 'aria-label': t('selectRow', { name: p.rowName(row) }) }) as object,
              }
            }
            locale={{
              emptyText: query.isPending ? (
                <Loading />
              ) : page > 1 ? (
                // Its rows have gone meanwhile; that says nothing of the pages before.
                <Empty title={t('pageEmpty')} action={<Button onClick={() => turn(1, undefined)}>{t('first')}</Button>} />
              ) : narrowed ? (
                <Empty title={t('noMatch')} hint={t('noMatchHint')} />
              ) : (
                (p.empty ?? <Empty title={t('noRows')} />)
              ),
            }}
            onChange={(_, __, sorter, { action }) => {
              if (action !== 'sort' || Array.isArray(sorter)) return
              const column = p.columns.find((c) => c.key === sorter.columnKey)
              if (!column?.sort) return
              const upwards = sorter.order === 'ascend'
              change({
                sort: column.sort === p.sort ? undefined : column.sort,
                order: upwards === (column.upwards ?? false) ? undefined : upwards ? 'asc' : 'desc',
              })
            }}
          />
        </div>
      )}
      <nav className="paging" aria-label={p.label}>
        <span className="muted">
          {!single ? `${t('page', { page })} ${total >= 0 ? `· ${t('ofTotal', { total })}` : ''}` : rows.length > 0 && t('nRows', { count: rows.length })}
        </span>
        {!single && (
          <>
            <Select
              aria-label={t('pageSize')}
              value={limit}
              onChange={(value) => change({ limit: value === '50' ? undefined : value })}
              options={sizes.map((n) => ({ value: String(n), label: number(n) }))}
            />
            <Button icon={<LeftOutlined />} aria-label={t('previous')} disabled={page === 1} onClick={previous} />
            <Button icon={<RightOutlined />} aria-label={t('next')} disabled={!query.data?.next || query.isPlaceholderData} onClick={next} />
          </>
        )}
      </nav>
    </div>
  )
}

/** Filters of a list as a body of the API takes them: lists as lists, flags and numbers as such. */
export function filterBody(filters: Filter[], search: Search, fixed?: Record<string, unknown>): Record<string, unknown> {
  const body: Record<string, unknown> = {}
  for (const f of filters) {
    const value = search[f.key]
    if (textOf(value) === '') continue
    body[f.key] = f.kind === 'many' ? listOf(value) : f.kind === 'flag' ? true : f.kind === 'since' || f.kind === 'host' ? Number(textOf(value)) : textOf(value)
  }
  return { ...body, ...fixed }
}
