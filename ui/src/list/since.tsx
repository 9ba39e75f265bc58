// A time to choose.
import { DatePicker } from 'antd'
import dayjs from 'dayjs'

export default function Since({ label, value, change }: { label: string; value: number; change: (value: Date | undefined) => void }) {
  return (
    <DatePicker
      aria-label={label}
      showTime={{ format: 'HH:mm' }}
      value={value ? dayjs(value) : null}
      onChange={(at) => change(at?.toDate())}
    />
  )
}
