import library from 'antd/locale/en_US.js'

import { access } from '../access/en'
import { dashboard } from '../dashboard/en'
import { decisions } from '../decisions/en'
import { hosts } from '../hosts/en'
import { images } from '../images/en'
import { settings } from '../settings/en'
import { software } from '../software/en'
import { tasks } from '../tasks/en'
import { vulnerabilities } from '../vulnerabilities/en'
import { common } from './common.en'
import { reasons } from './reasons.en'

export const texts = { common, reasons, access, dashboard, decisions, hosts, images, settings, software, tasks, vulnerabilities }
export { library }
