// node scripts/run-faults.js [--hours 2] [--seed 1] [--kinds odradek,odradek,odradek] [--rate 200] [--round-minutes 10] [--go-on]
// The long run of a cluster under faults: test/kafka-compat/cluster/long-run.ts, bundled to .cache and run. Needs root
// (network namespaces) and what `node scripts/fetch-tools.js kcat jdk zookeeper jars c` brings.
import { runLong } from './run-bundled.js'

await runLong('cluster')
