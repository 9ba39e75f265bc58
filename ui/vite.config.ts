import react from '@vitejs/plugin-react'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const outDir = 'dist/www'

/** The binary holds each file packed, as nearly every browser takes it. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    closeBundle() {
      for (const file of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!file.isFile() || file.name === 'index.html') continue
        const path = join(file.parentPath, file.name)
        writeFileSync(path + '.gz', gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }))
        rmSync(path)
      }
    },
  }
}

export default defineConfig({
  plugins: [react(), packed()],
  // What the packages' authors ask of whoever passes them on lies beside them.
  build: { license: { fileName: 'assets/licences.txt' }, outDir, emptyOutDir: true, assetsInlineLimit: 0, target: 'es2022', chunkSizeWarningLimit: 1200 },
  test: { include: ['src/**/*.test.ts'] }, // e2e is Playwright's
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(
      ['/api', '/openapi.json', '/docs'].map((path) => [path, { target: process.env.PLIMSOLL_URL ?? 'https://127.0.0.1:8443', secure: false }]),
    ),
  },
})
