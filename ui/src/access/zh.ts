import type { Translated } from '../i18n'
import type { access as english } from './en'

export const access: Translated<typeof english> = {
  signIn: '登录',
  name: '用户名',
  password: '密码',
  signInHint: '主机上镜像的安全',
  wrong: '用户名或密码错误。',
  setupTitle: '创建第一个管理员',
  setupHint: '此链接只能使用一次。请设置您的登录方式。',
  setupNoToken: '链接不完整',
  setupNoTokenHint: '请打开控制台启动时打印的完整链接。如果已丢失，请重新启动控制台。',
  passwordHint: '至少 12 个字符',
  repeat: '确认密码',
  different: '两次输入的密码不一致',
  create: '创建并登录',
  required: '请填写此项',
  tooShort: '至少需要 12 个字符',
  nameShape: '只能包含字母、数字和 . _ @ -',
}
