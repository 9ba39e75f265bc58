import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Button, Checkbox, Form, Input, Modal, Select, Switch } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Refused } from '../parts/refused'
import { complete, SelectionInput, type Selection } from './selection'
import { NextRuns } from './times'

type Schedule = Schemas['Schedule']

const presets = { hourly: '0 * * * *', nightly: '0 2 * * *', weekly: '0 2 * * 0', monthly: '0 2 1 * *' }
const first: Schedule = { name: '', enabled: true, trigger: 'cron', cron: presets.nightly, selection: { all: true }, changed: true }

/** Adds a schedule, or changes one. */
export function ScheduleForm({ schedule, close }: { schedule?: Schedule; close: () => void }) {
  const { t } = useTranslation('tasks')
  const queries = useQueryClient()
  const [form] = Form.useForm<Schedule>()
  const trigger = Form.useWatch('trigger', form) ?? schedule?.trigger ?? first.trigger
  const cron = Form.useWatch('cron', form) ?? ''
  const save = useMutation({
    mutationFn: (values: Schedule) => {
      const body = written({ ...first, ...schedule, ...values })
      return schedule?.id ? ok(client.PUT('/api/v1/schedules/{id}', { params: { path: { id: schedule.id } }, body })) : ok(client.POST('/api/v1/schedules', { body }))
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['tasks', 'schedules'] })
      close()
    },
  })
  return (
    <Modal
      open
      width={640}
      title={t(schedule ? 'editSchedule' : 'addSchedule')}
      onCancel={close}
      okText={t('save', { ns: 'common' })}
      okButtonProps={{ loading: save.isPending }}
      onOk={() => form.submit()}
    >
      <Form form={form} layout="vertical" requiredMark={false} initialValues={schedule ?? first} onFinish={(values) => save.mutate(values)}>
        <Refused error={save.error} form={form} />
        <Form.Item name="name" label={t('name')} rules={[{ required: true, whitespace: true, message: t('required', { ns: 'common' }) }]}>
          <Input autoFocus maxLength={100} />
        </Form.Item>
        <Form.Item name="trigger" label={t('trigger')}>
          <Select options={(['cron', 'new-image', 'pull'] as const).map((value) => ({ value, label: t(`trigger.${value}`) }))} />
        </Form.Item>
        {trigger === 'cron' && (
          <>
            <Form.Item name="cron" label={t('cron')} extra={t('cronHint')} rules={[{ required: true, whitespace: true, message: t('required', { ns: 'common' }) }]}>
              <Input className="mono" maxLength={100} spellCheck={false} />
            </Form.Item>
            <div className="row" style={{ marginBottom: 8 }}>
              {Object.entries(presets).map(([name, text]) => (
                <Button key={name} size="small" onClick={() => form.setFieldsValue({ cron: text })}>
                  {t(`preset.${name as keyof typeof presets}`)}
                </Button>
              ))}
            </div>
            <div style={{ marginBottom: 16 }}>
              <NextRuns cron={cron} />
            </div>
          </>
        )}
        <Form.Item
          name="selection"
          label={t('selection')}
          validateTrigger="onSubmit"
          rules={[
            {
              validator: (_, selection: Selection) =>
                !complete(selection)
                  ? Promise.reject(new Error(selection.filter ? t('filterEmpty') : t('required', { ns: 'common' })))
                  : selection.label !== undefined && !/^[^=]+=/.test(selection.label)
                    ? Promise.reject(new Error(t('labelShape')))
                    : Promise.resolve(),
            },
          ]}
        >
          <SelectionInput />
        </Form.Item>
        {trigger === 'cron' && (
          <Form.Item name="changed" valuePropName="checked" extra={t('changedHint')}>
            <Checkbox>{t('changed')}</Checkbox>
          </Form.Item>
        )}
        <Form.Item name="enabled" label={t('enabled')} valuePropName="checked">
          <Switch />
        </Form.Item>
      </Form>
    </Modal>
  )
}

/** What of a schedule somebody writes; the console adds the rest. */
export function written({ name, enabled, trigger, cron, selection, changed }: Schedule): Schedule {
  return { name, enabled, trigger, cron: trigger === 'cron' ? cron : undefined, selection, changed: trigger === 'cron' && changed }
}
