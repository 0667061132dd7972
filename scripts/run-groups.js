// node scripts/run-groups.js [--sizes 3,50,500] [--kinds java-range,...] [--beds 'one broker,three brokers'] [--steps 7] [--seed 1] [--go-on]
// The long run of groups under churn: test/kafka-compat/groups/long-run.ts, bundled to .cache and run. Needs what
// `node scripts/fetch-tools.js jdk jars c` brings.
import { runLong } from './run-bundled.js'

await runLong('groups')
