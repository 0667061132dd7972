/** Where we answer otherwise than Apache Kafka 3.9, and why. An entry that no longer differs fails the suite. */
import type { KnownDifference } from './compare.ts'
import { settingsNotListed } from './settings-not-listed.ts'

/** The APIs of a ZooKeeper-mode broker that we do not serve: security, quotas. */
const notServed = [17, 29, 30, 31, 36, 38, 39, 40, 41, 48, 49, 50, 51, 57, 58]

const cluster: KnownDifference[] = [
  {
    scenario: /ApiVersions|Unknown versions|Produce v/,
    at: new RegExp(` apiKeys\\.(${notServed.join('|')})$`),
    odradek: undefined,
    reason: 'not served in this release: security, quotas',
  },
  {
    scenario: /ApiVersions|Unknown versions|Produce v/,
    at: / apiKeys\.(8|9)\.minVersion$/,
    kafka: 0,
    reason: 'offsets in ZooKeeper: the old end, not served',
  },
  {
    scenario: /ApiVersions|Unknown versions|Produce v/,
    at: / apiKeys\.(68|69)\.maxVersion$/,
    kafka: 0,
    odradek: 1,
    reason: 'consumer groups of the new protocol are served as Kafka 4.1 serves them',
  },
  {
    scenario: /ApiVersions|Unknown versions|Produce v/,
    at: / apiKeys\.74$/,
    kafka: undefined,
    reason: 'what has settings is listed as by Kafka 4.1, whose kafka-configs asks for it',
  },
  {
    scenario: /ApiVersions|Unknown versions|Produce v/,
    at: / apiKeys\.(0|26|28)\.maxVersion$/,
    reason: 'transaction.version 2 is served as Kafka 4.1 serves it (docs/decisions/0019)',
  },
  {
    scenario: 'ApiVersions: what is served',
    at: / (supportedFeatures|finalizedFeatures)(\.transaction\.version|\[0\])?$/,
    reason: 'transaction.version is the only feature that we tell of; Kafka 3.9 on ZooKeeper has none',
  },
  {
    scenario: 'Metadata: topics that are not there',
    at: /^made .* topics\.meta-auto-\d+\.(errorCode|partitions|topicId)$/,
    reason:
      'the first answer already names the topic it made; Kafka says LEADER_NOT_AVAILABLE and is asked again',
  },
  {
    scenario: 'Metadata: by id',
    at: /^null name \(Metadata v12\) (brokers|clusterId|controllerId|topics\.\.errorCode)$/,
    reason: 'neither name nor id: Kafka runs into a NullPointerException, we say INVALID_TOPIC_EXCEPTION',
  },
]

const topics: KnownDifference[] = [
  {
    scenario: /^CreateTopics v/,
    at: /(minus-one|nobody|stranger|p-twice)\.(errorCode|errorMessage|topicId|configs|numPartitions|replicationFactor)$/,
    reason:
      'replicas on brokers that are not there, or a partition assigned twice: INVALID_REPLICA_ASSIGNMENT, as in KRaft; a controller on ZooKeeper makes partitions that nobody can lead',
  },
  {
    scenario: 'DeleteTopics',
    at: /^by (name and id|nothing) .*\.(errorMessage|errorCode)$/,
    reason:
      'neither or both of name and id: INVALID_REQUEST with a reason; Kafka says TOPIC_AUTHORIZATION_FAILED to neither',
  },
]

const records: KnownDifference[] = [
  {
    scenario: /^Produce v\d+: idempotent producers$/,
    at: /^(sixth last|long ago) again .*\.errorCode$/,
    kafka: 45,
    odradek: 46,
    reason: 'a batch behind more than five others is known as written (docs/decisions/0020)',
  },
  {
    scenario: /^Produce v/,
    at: /^(a few bytes|magic [01]|length beyond the bytes|cut off|two batches|unknown codec [57]) .*\.logStartOffset$/,
    kafka: -1,
    odradek: 0,
    reason: 'our log refuses it and tells its start; Kafka refuses it before it has asked the log',
  },
  {
    scenario: /^Produce v/,
    at: /^no partitions .* responses$/,
    reason: 'a topic without partitions is in the reply as it was in the request; Kafka leaves it out',
  },
  {
    scenario: /^(Produce v|Transactions: fences)/,
    at: /\.errorMessage$/,
    kafka: null,
    odradek: '<text>',
    reason: 'we say why; Kafka gives a text for few errors',
  },
  {
    scenario: /^Produce v/,
    at: /^unknown codec [57] .*\.errorCode$/,
    kafka: -1,
    odradek: 76,
    reason: 'an unknown codec is UNSUPPORTED_COMPRESSION_TYPE; Kafka fails with an exception of its own',
  },
  {
    scenario: /^Produce v/,
    at: /^(says gzip, is not|records that are no records) .*\.errorCode$/,
    kafka: -1,
    odradek: 87,
    reason: 'bytes that are no records are INVALID_RECORD; Kafka fails with an exception of its own',
  },
  {
    scenario: /^Produce v/,
    at: /^bytes behind /,
    reason: "a partition's bytes are one batch and no more; Kafka drops up to eleven bytes behind it",
  },
  {
    scenario: /^Produce v/,
    at: /^null records /,
    kafka: 'silent',
    reason: 'Kafka fails without a reply; we say INVALID_RECORD',
  },
  {
    scenario: 'What producers wrote is what Kafka would keep',
    at: /^read p\d+-gzip .*\.records\[0\]\.body$/,
    reason: "compressed by the broker (compression.type=gzip): Java's deflater and Node's choose other bytes",
  },
  {
    scenario: 'Produce: what a topic stores anew',
    at: /^read anew-(gzip|lz4|zstd|level-\d) .*\.records\[\d+\]\.body$/,
    reason:
      'compressed by the broker: the same records, other bytes of another library (lz4: docs/decisions/0010)',
  },
  {
    scenario: 'Produce: what a topic stores anew',
    at: /^too large once unpacked .*\.errorMessage$/,
    kafka: null,
    odradek: '<text>',
    reason: 'we say why; Kafka gives a text for few errors',
  },
  {
    scenario: 'What producers wrote is what Kafka would keep',
    at: /^read p\d+-small /,
    reason: 'the batch with bytes behind it, which Kafka took',
  },
  {
    scenario: /^Fetch v/,
    at: /^(one batch and a half|200 bytes in all) .*\.records$/,
    reason: 'we give whole batches; Kafka cuts the last one at the limit, and clients drop what is cut',
  },
  {
    scenario: /^Fetch v/,
    at: /^minus one byte of the partition /,
    reason: 'a negative partitionMaxBytes counts as 0; Kafka fails with an exception of its own',
  },
  {
    scenario: /^Old formats: Produce/,
    at: /^(old\d: (unknown codec 5|says gzip, is not)|old2: timestamp -2) .*\.errorCode$/,
    kafka: -1,
    reason: 'as of newer versions: UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD, INVALID_TIMESTAMP',
  },
  {
    scenario: /^Old formats: Produce/,
    at: /^null records /,
    kafka: 'silent',
    reason: 'Kafka fails without a reply; we say INVALID_RECORD',
  },
  {
    scenario: /^Old formats: Produce/,
    at: /^read old\d.* \(Fetch v11\) .*\.records\[\d+\]\.body$/,
    reason: "compressed by the broker: Java's deflater and Node's choose other bytes, for the same records",
  },
  {
    scenario: /^Old formats: ListOffsets/,
    at: /^minus one offset .*\.errorCode$/,
    kafka: -1,
    odradek: 0,
    reason: 'at most -1 offsets are none; Kafka fails with an exception of its own',
  },
  {
    scenario: /^(Fetch v|ListOffsets)/,
    at: /^isolation level 2 /,
    reason: 'an unknown isolation level reads uncommitted; Kafka fails with an exception of its own',
  },
  {
    scenario: /^Fetch v/,
    at: /^partition twice .*\.partitions$/,
    reason: 'a partition named twice is read twice; Kafka keeps the last mention',
  },
]

const groups: KnownDifference[] = [
  {
    scenario: 'FindCoordinator',
    at: /^share .*(errorCode|errorMessage)$/,
    reason: 'no coordinators of share groups in this release: INVALID_REQUEST, with a reason',
  },
  {
    scenario: 'Transactions: InitProducerId',
    at: /^described: empty again .*transactionStartTimeMs$/,
    kafka: '<now>',
    odradek: -1,
    reason:
      'no transaction has begun; Kafka 3.9 still says when the last one did, until it reads its log again, Kafka 4.1 does not',
  },
  {
    scenario: /^Groups: refused/,
    at: /^(afterwards|no group) .*\.(groupState|errorCode)$/,
    reason: 'a refused join leaves no group behind; in Kafka an empty one stays until it is cleaned up',
  },
  {
    scenario: /^(Offset|Transactions: offsets of nobody)/,
    at: /^(topic without partitions|no partitions) .*topics$/,
    reason: 'a topic without partitions is in the reply as it was in the request; Kafka leaves it out',
  },
  {
    scenario: /^(Offset|Transactions: offsets of nobody)/,
    at: /^(partition )?twice .*\.partitions$/,
    reason: 'a partition named twice is answered twice; the last mention counts in both',
  },
  {
    scenario: 'OffsetFetch',
    at: /^no groups /,
    kafka: 'silent',
    reason: 'Kafka never answers; we say that there is nothing',
  },
]

const configs: KnownDifference[] = [
  {
    scenario: 'DescribeConfigs',
    at: /\(DescribeConfigs v0\) .*\.isDefault$/,
    kafka: false,
    odradek: true,
    reason: 'version 0 asks whether a value is the default; Kafka 3.9 forgets to fill it in',
  },
  {
    scenario: /Configs/,
    at: /configs-gone\.errorMessage$/,
    kafka: '',
    odradek: '<text>',
    reason: 'we say why',
  },
  {
    scenario: /Configs/,
    at: /\.local\.retention\.(ms|bytes)\.synonyms(\[|$)/,
    reason: "tiered storage: the broker's log.local.retention.* are not settings here",
  },
  ...Object.entries(settingsNotListed).flatMap(([reason, names]) =>
    names.map((name): KnownDifference => ({
      scenario: 'DescribeConfigs',
      at: new RegExp(` results\\.4 1\\.configs\\.${name.replaceAll('.', '\\.')}$`),
      odradek: undefined,
      reason,
    })),
  ),
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.(allow\.everyone\.if\.no\.acl\.found|super\.users)$/,
    kafka: undefined,
    reason: "the authorizer's own settings: listed here with those of the broker",
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.group\.consumer\.(migration\.policy|regex\.refresh\.interval\.ms)$/,
    kafka: undefined,
    reason: 'a setting of Kafka 4.1, whose new group protocol is served here',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.group\.(consumer\.assignors|coordinator\.rebalance\.protocols)\.(value|synonyms.*)$/,
    reason:
      'the new group protocol is served by default, and its assignors have short names, as in Kafka 4.1',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.add\.partitions\.to\.txn\.retry\.backoff\.(max\.)?ms$/,
    kafka: undefined,
    reason: 'settings of Kafka 4.1, whose transactions of version 2 are served here',
  },
  {
    scenario: 'DescribeConfigs',
    at: /^a group \(DescribeConfigs v\d\) results\.32 x\.(configs|errorCode|errorMessage)$/,
    reason: 'groups have settings of their own, as in Kafka 4.1; Kafka 3.9 on ZooKeeper refuses the resource',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.odradek\./,
    kafka: undefined,
    reason: 'a setting of our own',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.principal\.builder\.class\./,
    reason: 'a Java class: without an authorizer there is none',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.(advertised\.listeners|listener\.security\.protocol\.map|listeners)\.readOnly$/,
    kafka: false,
    odradek: true,
    reason: 'listeners are fixed while the broker runs',
  },
  {
    scenario: 'AlterConfigs',
    at: /^broker '1'(, checked)?: listeners /,
    reason: 'listeners are fixed while the broker runs',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.controller\.listener\.names\.(value|synonyms|configType)$/,
    reason: 'read as a list, empty when not given',
  },
  {
    scenario: 'DescribeConfigs',
    at: / results\.4 1\.configs\.zookeeper\.connect\.(value|synonyms|configSource)$/,
    reason: 'only Kafka was given a ZooKeeper',
  },
  {
    scenario: /^(Incremental)?AlterConfigs$/,
    at: /^a group .* responses\.32 x\.errorCode$/,
    kafka: 42,
    odradek: 40,
    reason: 'groups have settings of their own, as in Kafka 4.1, and retention.ms is none of them',
  },
  {
    scenario: 'AlterConfigs',
    at: /^twice /,
    kafka: 'silent',
    reason: 'Kafka never answers; we say INVALID_REQUEST',
  },
  {
    scenario: 'IncrementalAlterConfigs',
    at: /operation (4|-1) .*\.(errorCode|errorMessage)$/,
    reason:
      'an unknown operation is INVALID_REQUEST, with a reason; Kafka fails with an exception of its own',
  },
]

export const knownDifferences: readonly KnownDifference[] = [
  ...cluster,
  ...topics,
  ...records,
  ...groups,
  ...configs,
]
