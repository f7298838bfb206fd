import { defineConfig } from 'vitest/config';

export default defineConfig({
  // As Node itself resolves, so that our code and the packages that it uses share one copy of graphql.
  ssr: { resolve: { conditions: ['module-sync', 'node'] } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/servers.ts'],
    // The machine may be shared and slow: a time-out here means "hangs", never "is slow".
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // One file at a time: MongoDB has one fail point for everybody, and two cores are soon full.
    fileParallelism: false,
  },
});
