// Colours of both appearances. Contrasts are at least 4.5 : 1 for all text.
import { theme, type ThemeConfig } from 'antd'
import { useSyncExternalStore } from 'react'

import { usePreference } from './preferences'

const dark = matchMedia('(prefers-color-scheme: dark)')

/** Whether the page is shown dark: by choice, else as the system is. */
export function useDark(): boolean {
  const chosen = usePreference('theme')
  const system = useSyncExternalStore(
    (tell) => {
      dark.addEventListener('change', tell)
      return () => dark.removeEventListener('change', tell)
    },
    () => dark.matches,
  )
  return chosen === 'dark' || (chosen !== 'light' && system)
}

export function themeOf(isDark: boolean): ThemeConfig {
  return {
    // Compact spaces, but letters of 13 px.
    algorithm: [isDark ? theme.darkAlgorithm : theme.defaultAlgorithm, theme.compactAlgorithm, (seed, map = theme.defaultAlgorithm(seed)) => ({ ...map, fontSize: 13, fontSizeSM: 12, lineHeight: 1.54, ...(isDark && { colorError: '#f49b98' }) })],
    token: {
      borderRadius: 4,
      motionDurationMid: '0.1s',
      motionDurationSlow: '0.15s',
      ...(isDark
        ? {
            colorBgBase: '#12151a',
            colorBgContainer: '#181c22', // as cards are
            colorBgElevated: '#20252d',
            colorBorder: '#434b57',
            colorBorderSecondary: '#2b313a',
            colorPrimary: '#2a6fd0',
            colorPrimaryHover: '#2f6cba',
            colorLink: '#78b7ff',
            colorTextDescription: '#a9b1bc',
            colorTextTertiary: '#a9b1bc',
            colorTextQuaternary: '#949ca8',
            colorTextPlaceholder: '#949ca8',
            colorSuccess: '#6abe39',
            colorError: '#f37370',
          }
        : {
            colorPrimary: '#0958d9',
            colorPrimaryHover: '#0a4ab0',
            colorLink: '#0958d9',
            colorTextDescription: '#595959',
            colorTextTertiary: '#595959',
            colorTextQuaternary: '#6b6b6b',
            colorTextPlaceholder: '#6b6b6b',
            colorSuccess: '#237804',
            colorWarning: '#ad4e00',
            colorError: '#a8071a',
            // Grounds derived from such dark colours are muddy.
            colorSuccessBg: '#f3faee',
            colorSuccessBorder: '#c3e2b2',
            colorWarningBg: '#fff7e0',
            colorWarningBorder: '#f0d48a',
            colorErrorBg: '#fdefef',
            colorErrorBorder: '#f2bcbc',
          }),
    },
    components: {
      Alert: { withDescriptionPadding: '10px 16px' },
      // What is chosen is text on a tint: the primary colour would be too dark.
      ...(isDark && { Menu: { itemSelectedColor: '#9cc9ff' }, Tabs: { itemSelectedColor: '#78b7ff', itemHoverColor: '#9cc9ff', itemActiveColor: '#9cc9ff', inkBarColor: '#78b7ff' } }),
      Table: { headerBorderRadius: 0, cellPaddingBlockSM: 4, cellPaddingInlineSM: 8 },
      Layout: isDark ? { headerBg: '#181c22', siderBg: '#181c22', bodyBg: '#12151a' } : { headerBg: '#ffffff', siderBg: '#ffffff', bodyBg: '#f5f6f8' },
    },
  }
}
