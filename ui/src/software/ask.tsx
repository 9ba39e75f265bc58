// The question that the software page answers: which package, in which versions.
import { Button, Input, Select } from 'antd'
import { useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'

import { textOf, type Search } from '../api'
import { SearchOutlined } from '../parts/icons'
import { identity, parseQuestion } from './question'

/** Package types, and what they are called by those who do not know the word. */
export const types = {
  deb: 'Debian, Ubuntu',
  rpm: 'Red Hat, SUSE, openEuler …',
  apk: 'Alpine, Wolfi',
  alpm: 'Arch',
  maven: 'Java',
  npm: 'JavaScript',
  pypi: 'Python',
  conda: 'Conda',
  golang: 'Go',
  cargo: 'Rust',
  nuget: '.NET',
  composer: 'PHP',
  gem: 'Ruby',
  hex: 'Erlang, Elixir',
  cran: 'R',
  cpan: 'Perl',
  luarocks: 'Lua',
  pub: 'Dart',
  hackage: 'Haskell',
  swift: 'Swift',
  nix: 'Nix',
  snap: 'Snap',
  generic: '…',
}

const ranges = ['any', 'below', 'atLeast', 'between', 'version'] as const
type Range = (typeof ranges)[number]

function rangeOf(search: Search): Range {
  if (textOf(search.version) !== '') return 'version'
  if (textOf(search.below) !== '') return textOf(search.atLeast) !== '' ? 'between' : 'below'
  return textOf(search.atLeast) !== '' ? 'atLeast' : 'any'
}

/** Give it a key of what it shows: it starts with what the address says. */
export function Ask({ search, change, focused }: { search: Search; change: (patch: Search) => void; focused: boolean }) {
  const { t } = useTranslation('software')
  const [name, setName] = useState(textOf(search.name) || textOf(search.q))
  const [exact, setExact] = useState(textOf(search.name) !== '')
  const [type, setType] = useState(textOf(search.type))
  const [range, setRange] = useState(rangeOf(search))
  const [from, setFrom] = useState(textOf(search.atLeast) || textOf(search.version))
  const [below, setBelow] = useState(textOf(search.below))
  const [problem, setProblem] = useState('')

  const compared = range === 'below' || range === 'atLeast' || range === 'between'
  const hint = compared ? (type === '' || type === 'maven' ? t('comparedHintMaven') : t('comparedHint')) : t('questionHint')

  const ask = (event: FormEvent) => {
    event.preventDefault()
    const said = parseQuestion(name)
    if (!said) return setProblem(t('questionUnknown'))
    const versions: Search = {
      version: range === 'version' ? from.trim() : undefined,
      atLeast: range === 'atLeast' || range === 'between' ? from.trim() : undefined,
      below: range === 'below' || range === 'between' ? below.trim() : undefined,
    }
    if (compared && name.trim() === '') return setProblem(t('nameMissing'))
    const part = textOf(said.q)
    setProblem('')
    change({
      ...Object.fromEntries(identity.map((key) => [key, undefined])),
      system: search.system,
      type: type || undefined,
      ...(part !== '' && (exact || compared) ? { name: part } : said),
      ...(part !== '' || name.trim() === '' ? versions : {}), // a question with versions of its own says all
      cursor: undefined,
      page: undefined,
    })
  }

  return (
    <form className="card ask" onSubmit={ask} aria-label={t('ask')}>
      <div className="row">
        <label>
          {t('packageName')}
          <Input autoFocus={focused} autoComplete="off" style={{ width: 260 }} maxLength={600} value={name} placeholder={t('example')} onChange={(event) => setName(event.target.value)} />
        </label>
        <label>
          {t('match')}
          <Select
            style={{ width: 130 }}
            aria-label={t('match')}
            disabled={compared}
            value={exact || compared ? 'exact' : 'part'}
            onChange={(value) => setExact(value === 'exact')}
            options={[
              { value: 'part', label: t('match.part') },
              { value: 'exact', label: t('match.exact') },
            ]}
          />
        </label>
        <label>
          {t('type')}
          <Select
            style={{ width: 180 }}
            aria-label={t('type')}
            showSearch={{ optionFilterProp: 'label' }}
            popupMatchSelectWidth={240}
            value={type}
            onChange={setType}
            options={[{ value: '', label: t('anyType') }, ...Object.entries(types).map(([value, says]) => ({ value, label: value === 'generic' ? `generic · ${t('generic')}` : `${value} · ${says}` }))]}
          />
        </label>
        <label>
          {t('versions')}
          <Select style={{ width: 120 }} aria-label={t('versions')} value={range} onChange={setRange} options={ranges.map((value) => ({ value, label: t(`range.${value}`) }))} />
        </label>
        {(range === 'atLeast' || range === 'between' || range === 'version') && (
          <label>
            {range === 'version' ? t('version') : t('from')}
            <Input autoComplete="off" style={{ width: 120 }} maxLength={200} required value={from} onChange={(event) => setFrom(event.target.value)} />
          </label>
        )}
        {(range === 'below' || range === 'between') && (
          <label>
            {t('below')}
            <Input autoComplete="off" style={{ width: 120 }} maxLength={200} required value={below} placeholder="2.17.1" onChange={(event) => setBelow(event.target.value)} />
          </label>
        )}
        <Button type="primary" htmlType="submit" icon={<SearchOutlined />}>
          {t('search', { ns: 'common' })}
        </Button>
        {identity.some((key) => textOf(search[key]) !== '') && (
          <Button type="link" onClick={() => change({ ...Object.fromEntries(identity.map((key) => [key, undefined])), cursor: undefined, page: undefined })}>
            {t('clear')}
          </Button>
        )}
      </div>
      <p className={problem ? 'problem' : 'muted'} role={problem ? 'alert' : undefined}>
        {problem || hint}
      </p>
    </form>
  )
}
