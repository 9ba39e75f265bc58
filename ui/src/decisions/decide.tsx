// Deciding about findings: ignore, mark as fixed or whitelist, after a look at what it would change.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { App, Button, Checkbox, Input, Modal, Radio, Select } from 'antd'
import { useId, useRef, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { AuditOutlined, EditOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { exact } from '../parts/time'
import { useWord } from '../parts/tags'
import { useMay } from '../session'
import { DecisionLink } from './events'
import { Preview, usePreview } from './preview'

type Decision = Schemas['Decision']
type Request = Schemas['DecisionRequest']

/**
 * What is decided about: findings by ID, all that a filter finds, a rule as a
 * beginning, several rules as they are, or a decision that is there already.
 */
export type Target = { findings: string[] } | { filter: Schemas['FindingFilter'] } | { rule: Partial<Decision> } | { rules: Partial<Decision>[] } | { change: Decision }

interface Props {
  target: Target
  label?: string
  done?: () => void
  primary?: boolean
  small?: boolean
}

export function DecideButton({ target, label, done, primary, small }: Props) {
  const { t } = useTranslation('decisions')
  const may = useMay('operator')
  const opener = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  const [decided, setDecided] = useState(false)
  if (!may) return null
  const changing = 'change' in target
  return (
    <>
      <Button ref={opener} type={primary ? 'primary' : 'default'} size={small ? 'small' : undefined} icon={changing ? <EditOutlined /> : <AuditOutlined aria-hidden="true" />} onClick={() => setOpen(true)}>
        {label ?? (changing ? t('edit', { ns: 'common' }) : t('decide'))}
      </Button>
      <Modal
        open={open}
        title={changing ? t('changeDecision', { id: target.change.id }) : 'rule' in target ? t('newRule') : t('decide')}
        footer={null}
        width={780}
        destroyOnHidden
        onCancel={() => setOpen(false)}
        afterClose={() => {
          if (decided) done?.()
          setDecided(false)
          // What it was opened from may be gone with the selection.
          setTimeout(() => (opener.current ?? document.getElementById('content'))?.focus({ preventScroll: true }))
        }}
      >
        <Dialog
          target={target}
          close={(is) => {
            setDecided(is)
            setOpen(false)
          }}
        />
      </Modal>
    </>
  )
}

const kinds = ['whitelist', 'ignore', 'fixed'] as const

function Dialog({ target, close }: { target: Target; close: (decided: boolean) => void }) {
  const { t } = useTranslation('decisions')
  const word = useWord()
  const sentence = useSentence()
  const queries = useQueryClient()
  const { message } = App.useApp()
  const tell = useOutcome()
  const id = useId()
  const remarkField = useRef<HTMLTextAreaElement>(null)

  const was = 'change' in target ? target.change : undefined
  const start: Partial<Decision> = was ?? ('rule' in target ? target.rule : {})
  const [kind, setKind] = useState(start.kind ?? 'whitelist')
  const [remark, setRemark] = useState(start.remark ?? '')
  const [missing, setMissing] = useState(false)
  const [expires, setExpires] = useState(start.expires)
  const [untilFix, setUntilFix] = useState(start.untilFix ?? false)
  const [scope, setScope] = useState(start)

  const how = { kind, remark: remark.trim(), expires, untilFix: kind !== 'fixed' && untilFix }
  const ruled = 'rule' in target || 'change' in target
  const request: Request =
    'findings' in target
      ? { ...how, findings: target.findings }
      : 'filter' in target
        ? { ...how, filter: target.filter }
        : { rules: 'rules' in target ? target.rules.map((rule) => ({ ...conditions({ ...rule, ...narrowing(scope) }), ...how })) : [{ ...conditions(scope), ...how }] }
  const complete = !ruled || Object.values(conditions(scope)).some((value) => value !== undefined)
  const preview = usePreview(request, complete)

  const decide = useMutation({
    mutationFn: async (): Promise<Decision[]> => {
      const rule = request.rules?.[0]
      if (was && rule) return [await ok(client.PUT('/api/v1/decisions/{id}', { params: { path: { id: was.id ?? 0 } }, body: rule }))]
      return (await ok(client.POST('/api/v1/decisions', { body: request }))).items ?? []
    },
    onSuccess: (made) => {
      tell(made, was)
      close(true)
    },
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
    onSettled: () => queries.invalidateQueries({ predicate: (query) => query.queryKey[1] !== 'preview' }),
  })

  const submit = () => {
    const absent = remark.trim() === ''
    setMissing(absent)
    if (absent) remarkField.current?.focus()
    else if (preview.ready) decide.mutate()
  }

  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      <Radio.Group aria-label={t('kind')} value={kind} onChange={(event) => setKind(event.target.value)} className="stack" style={{ gap: 4 }}>
        {kinds.map((value) => (
          <Radio key={value} value={value}>
            {word('decision', value)} <span className="muted">{t(`explained.${value}`)}</span>
          </Radio>
        ))}
      </Radio.Group>
      {'rules' in target && <Named rules={target.rules} />}
      {(ruled || 'rules' in target) && <Scope scope={scope} set={setScope} one={ruled} />}
      <Field
        id={`${id}r`}
        label={t('remark')}
        note={
          missing ? (
            <span id={`${id}m`} role="alert" style={{ color: 'var(--critical)' }}>
              {t('remarkMissing')}
            </span>
          ) : undefined
        }
      >
        <Input.TextArea
          ref={(field) => {
            remarkField.current = field?.resizableTextArea?.textArea ?? null
          }}
          id={`${id}r`}
          rows={2}
          maxLength={2000}
          required
          aria-required
          aria-invalid={missing}
          aria-describedby={missing ? `${id}m` : undefined}
          status={missing ? 'error' : undefined}
          value={remark}
          onChange={(event) => {
            setRemark(event.target.value)
            setMissing(false)
          }}
        />
      </Field>
      <Ends id={`${id}e`} expires={expires} set={setExpires} />
      {kind !== 'fixed' && (
        <Checkbox checked={untilFix} onChange={(event) => setUntilFix(event.target.checked)}>
          {t('untilFix')} <span className="muted">{t('untilFixHint')}</span>
        </Checkbox>
      )}
      <Preview of={preview} changing={was !== undefined} />
      {was && <span className="muted">{t('changeSays', { count: was.hits ?? 0 })}</span>}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button onClick={() => close(false)}>{t('cancel', { ns: 'common' })}</Button>
        <Button type="primary" htmlType="submit" loading={decide.isPending} disabled={!preview.ready}>
          {was ? t('save', { ns: 'common' }) : word('decision', kind)}
        </Button>
      </div>
    </form>
  )
}

function Field({ id, label, note, children }: { id: string; label: string; note?: ReactNode; children: ReactNode }) {
  return (
    <div className="stack" style={{ gap: 2 }}>
      <label htmlFor={id}>{label}</label>
      {children}
      {note && <span className="muted">{note}</span>}
    </div>
  )
}

/** What rules are about that are made as they are. */
function Named({ rules }: { rules: Partial<Decision>[] }) {
  const { t } = useTranslation('decisions')
  return (
    <div className="text sample" tabIndex={0} role="region" aria-label={t('vulnerability')} style={{ maxHeight: 72 }}>
      {rules.map((rule) => rule.vulnerability).join(', ')}
    </div>
  )
}

/** Conditions of a rule; without one, the images and hosts that several are narrowed to. */
function Scope({ scope, set, one }: { scope: Partial<Decision>; set: (scope: Partial<Decision>) => void; one: boolean }) {
  const { t } = useTranslation('decisions')
  const id = useId()
  const text = (key: 'vulnerability' | 'package' | 'packageType' | 'path', label: string, most: number, note?: string, placeholder?: string) => (
    <Field id={id + key} label={label} note={note}>
      <Input id={id + key} maxLength={most} value={scope[key] ?? ''} placeholder={placeholder} onChange={(event) => set({ ...scope, [key]: event.target.value })} />
    </Field>
  )
  const names = (key: 'repositories' | 'labels' | 'imageIDs', label: string, note: string, placeholder: string) => (
    <Field id={id + key} label={label} note={note}>
      <Select
        id={id + key}
        mode="tags"
        open={false}
        maxTagCount={8}
        suffixIcon={null}
        tokenSeparators={[',', ' ']}
        placeholder={placeholder}
        value={scope[key] ?? []}
        onChange={(values: string[]) => set({ ...scope, [key]: values })}
      />
    </Field>
  )
  return (
    <fieldset className="fields">
      <legend>{one ? t('scope') : t('narrow')}</legend>
      {one && (
        <>
          {text('vulnerability', t('vulnerability'), 100, t('vulnerabilityHint'), t('anyVulnerability'))}
          {text('package', t('package'), 300, t('patternHint'), t('anyPackage'))}
          {text('packageType', t('packageType'), 40, t('packageTypeHint'), t('anyType'))}
          {text('path', t('path'), 4096, t('pathHint'), t('anyPath'))}
        </>
      )}
      {names('repositories', t('repositories'), t('repositoriesHint'), t('anyImage'))}
      {names('labels', t('labels'), t('labelsHint'), t('anyHost'))}
      {(scope.imageIDs?.length ?? 0) > 0 && names('imageIDs', t('imageIDs'), t('imageIDsHint'), '')}
    </fieldset>
  )
}

/** The conditions of a rule, those that narrow alone. */
function conditions(rule: Partial<Decision>): Partial<Decision> {
  const text = (value: string | undefined) => value?.trim() || undefined
  const list = (values: string[] | null | undefined) => (values?.length ? values : undefined)
  return {
    vulnerability: text(rule.vulnerability),
    packageType: text(rule.packageType),
    package: text(rule.package),
    path: text(rule.path),
    repositories: list(rule.repositories),
    imageIDs: list(rule.imageIDs),
    labels: list(rule.labels),
  }
}

function narrowing({ repositories, labels }: Partial<Decision>): Partial<Decision> {
  return { repositories, labels }
}

const terms = [30, 90, 180, 365] // days

function Ends({ id, expires, set }: { id: string; expires: string | undefined; set: (at: string | undefined) => void }) {
  const { t, i18n } = useTranslation('decisions')
  const [chosen, choose] = useState(expires ? 'date' : 'never')
  return (
    <div className="row" style={{ alignItems: 'flex-end' }}>
      <Field id={id} label={t('expires')}>
        <Select
          id={id}
          style={{ width: 200 }}
          value={chosen}
          onChange={(value) => {
            choose(value)
            set(value === 'never' ? undefined : value === 'date' ? (expires ?? endOf(daysFrom(90))) : endOf(daysFrom(Number(value))))
          }}
          options={[
            { value: 'never', label: t('expires.never') },
            ...terms.map((days) => ({ value: String(days), label: t('expires.days', { count: days }) })),
            { value: 'date', label: t('expires.date') },
          ]}
        />
      </Field>
      {chosen === 'date' && (
        <Input
          type="date"
          aria-label={t('expires.date')}
          style={{ width: 160 }}
          min={dayOf(daysFrom(0))}
          value={expires ? dayOf(new Date(expires)) : ''}
          onChange={(event) => event.target.value && set(endOf(new Date(event.target.value + 'T00:00')))}
        />
      )}
      {expires && <span className="muted">{exact(i18n.language, new Date(expires))}</span>}
    </div>
  )
}

function daysFrom(days: number): Date {
  const date = new Date()
  date.setDate(date.getDate() + days)
  return date
}

/** The last second of a day here. */
function endOf(date: Date): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined
  date.setHours(23, 59, 59, 0)
  return date.toISOString()
}

function dayOf(date: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/** Says what was decided, where it is, and takes it back when asked. */
function useOutcome() {
  const { t } = useTranslation('decisions')
  const { notification, message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  return (made: Decision[], was: Decision | undefined) => {
    const key = `decision ${made[0]?.id}`
    const undo = async () => {
      notification.destroy(key)
      try {
        if (was) await ok(client.PUT('/api/v1/decisions/{id}', { params: { path: { id: was.id ?? 0 } }, body: was }))
        else for (const d of made) await ok(client.DELETE('/api/v1/decisions/{id}', { params: { path: { id: d.id ?? 0 }, query: { remark: t('undone') } } }))
        void message.success(t('takenBack'))
      } catch (error) {
        void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8)
      }
      await queries.invalidateQueries()
    }
    const hits = made.reduce((sum, d) => sum + (d.hits ?? 0), 0)
    notification.success({
      key,
      duration: 15,
      title: was ? t('changed') : t('decided', { count: made.length }),
      description: t('handlesNow', { count: hits }),
      actions: (
        <span className="row">
          {made[0]?.id !== undefined && (made.length === 1 ? <DecisionLink id={made[0].id} /> : <DecisionLink text={t('allDecisions')} />)}
          <Button size="small" onClick={() => void undo()}>
            {t('undo')}
          </Button>
        </span>
      ),
    })
  }
}
