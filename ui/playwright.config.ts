// Browser tests of a running console. The Go test TestPages in ../e2e starts one, with
// real images, and tells where it is; they end with it, for they change it for good.
import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 1, // they share one console
  forbidOnly: true,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [['list'], ['json']],
  use: {
    baseURL: process.env.PLIMSOLL_URL,
    ignoreHTTPSErrors: true,
    locale: 'en-US',
    viewport: { width: 1280, height: 900 },
    screenshot: 'only-on-failure',
    actionTimeout: 15_000,
    launchOptions: {
      executablePath: process.env.PLIMSOLL_CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
    },
  },
  projects: [
    { name: 'first run', testMatch: 'first-*.spec.ts' },
    { name: 'console', testIgnore: 'first-*.spec.ts', dependencies: ['first run'] },
    { name: 'screens', testMatch: 'screens.ts' }, // make screenshots
    { name: 'times', testMatch: 'times.ts' }, // make pagetimes
  ],
})
