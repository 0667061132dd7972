// node scripts/run-transactions.js [--transactions 100000] [--round 10000] [--minutes 600] [--seed 1] [--kinds ...] [--writers 4]
// The long run of transactions under faults: test/kafka-compat/transactions/long-run.ts, bundled to .cache and run. Needs
// what `node scripts/fetch-tools.js kcat jdk zookeeper jars c` brings.
import { runLong } from './run-bundled.js'

await runLong('transactions')
