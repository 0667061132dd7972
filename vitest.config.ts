import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/kafka-compat/**', 'test/crash/**', 'test/sim/**'],
          isolate: false,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'kafka-compat',
          include: ['test/kafka-compat/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      { test: { name: 'sim', include: ['test/sim/**/*.test.ts'], testTimeout: 1_800_000 } },
      { test: { name: 'crash', include: ['test/crash/**/*.test.ts'], testTimeout: 1_800_000 } },
    ],
  },
})
