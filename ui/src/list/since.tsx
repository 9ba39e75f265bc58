// A time to choose, as the API takes it: unix milliseconds.
import { DatePicker } from 'antd'
import dayjs from 'dayjs'

export default function Since({ label, value, change }: { label: string; value: string; change: (value: string | undefined) => void }) {
  return (
    <DatePicker
      aria-label={label}
      showTime={{ format: 'HH:mm' }}
      value={value ? dayjs(Number(value)) : null}
      onChange={(at) => change(at ? String(at.valueOf()) : undefined)}
    />
  )
}
