import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [
    cloudflareTest({
      main: "./worker/src/index.ts",
      miniflare: {
        compatibilityDate: "2026-08-01",
        bindings: { API_TOKENS: "old-token, new-token" },
        d1Databases: ["MARTS"],
      },
    }),
  ],
  test: { include: ["worker/test/*.test.ts"] },
});
