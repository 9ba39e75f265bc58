// Icons stand beside a text, or in a button that has a name: they are seen and not
// read aloud.
import {
  AppstoreOutlined as Appstore,
  AuditOutlined as Audit,
  BugOutlined as Bug,
  CheckOutlined as Check,
  CloseOutlined as Close,
  CloudDownloadOutlined as CloudDownload,
  ClusterOutlined as Cluster,
  ContainerOutlined as Container,
  CopyOutlined as Copy,
  DashboardOutlined as Dashboard,
  DeleteOutlined as Delete,
  DownOutlined as Down,
  DownloadOutlined as Download,
  EditOutlined as Edit,
  FilterOutlined as Filter,
  GlobalOutlined as Global,
  LeftOutlined as Left,
  PlusOutlined as Plus,
  RedoOutlined as Redo,
  ReloadOutlined as Reload,
  RightOutlined as Right,
  ScanOutlined as Scan,
  SearchOutlined as Search,
  SettingOutlined as Setting,
  StopOutlined as Stop,
  SyncOutlined as Sync,
  ThunderboltOutlined as Thunderbolt,
  UndoOutlined as Undo,
  UploadOutlined as Upload,
  UserOutlined as User,
} from '@ant-design/icons'
import type { ComponentProps, ComponentType } from 'react'

function quiet<P extends ComponentProps<typeof Appstore>>(Icon: ComponentType<P>) {
  return function Quiet(props: P) {
    return <Icon aria-hidden="true" {...props} />
  }
}

export const AppstoreOutlined = quiet(Appstore)
export const AuditOutlined = quiet(Audit)
export const BugOutlined = quiet(Bug)
export const CheckOutlined = quiet(Check)
export const CloseOutlined = quiet(Close)
export const CloudDownloadOutlined = quiet(CloudDownload)
export const ClusterOutlined = quiet(Cluster)
export const ContainerOutlined = quiet(Container)
export const CopyOutlined = quiet(Copy)
export const DashboardOutlined = quiet(Dashboard)
export const DeleteOutlined = quiet(Delete)
export const DownOutlined = quiet(Down)
export const DownloadOutlined = quiet(Download)
export const EditOutlined = quiet(Edit)
export const FilterOutlined = quiet(Filter)
export const GlobalOutlined = quiet(Global)
export const LeftOutlined = quiet(Left)
export const PlusOutlined = quiet(Plus)
export const RedoOutlined = quiet(Redo)
export const ReloadOutlined = quiet(Reload)
export const RightOutlined = quiet(Right)
export const ScanOutlined = quiet(Scan)
export const SearchOutlined = quiet(Search)
export const SettingOutlined = quiet(Setting)
export const StopOutlined = quiet(Stop)
export const SyncOutlined = quiet(Sync)
export const ThunderboltOutlined = quiet(Thunderbolt)
export const UndoOutlined = quiet(Undo)
export const UploadOutlined = quiet(Upload)
export const UserOutlined = quiet(User)
