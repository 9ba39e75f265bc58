import library from 'antd/locale/zh_CN.js'

import { access } from '../access/zh'
import { dashboard } from '../dashboard/zh'
import { decisions } from '../decisions/zh'
import { hosts } from '../hosts/zh'
import { images } from '../images/zh'
import { settings } from '../settings/zh'
import { software } from '../software/zh'
import { tasks } from '../tasks/zh'
import { vulnerabilities } from '../vulnerabilities/zh'
import { common } from './common.zh'
import { reasons } from './reasons.zh'

export const texts = { common, reasons, access, dashboard, decisions, hosts, images, settings, software, tasks, vulnerabilities }
export { library }
