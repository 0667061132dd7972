import { metadataApi } from '../../../../src/protocol/messages/03-metadata.ts'
import { describeClusterApi } from '../../../../src/protocol/messages/60-describe-cluster.ts'
import { ZERO_UUID } from '../../../../src/protocol/schema.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { UNKNOWN_ID, createTopic, topicId } from './data.ts'

const named = (...names: string[]) => names.map((name) => ({ name }))
const badNames = ['a/b', '', '.', '..', 'x'.repeat(250), 'ü', 'a b']

export const metadataScenarios: Scenario[] = [
  {
    name: 'Metadata: topics that are there',
    steps: [
      createTopic('meta.a', { partitions: 2 }),
      createTopic('meta-b'),
      ...everyVersion(metadataApi, (version) => [
        step('one', metadataApi, version, { topics: named('meta.a') }),
        step('two', metadataApi, version, { topics: named('meta.a', 'meta-b') }),
        step('twice', metadataApi, version, { topics: named('meta-b', 'meta-b') }),
        step('empty list', metadataApi, version, { topics: [] }),
        ...(version >= 1 ? [step('null list', metadataApi, version, { topics: null })] : []),
        step('authorised operations', metadataApi, version, {
          topics: named('meta-b'),
          includeClusterAuthorizedOperations: true,
          includeTopicAuthorizedOperations: true,
        }),
      ]),
    ],
  },
  {
    name: 'Metadata: topics that are not there',
    steps: everyVersion(metadataApi, (version) => [
      ...(version >= 4
        ? [
            step('unknown', metadataApi, version, {
              topics: named('meta-gone'),
              allowAutoTopicCreation: false,
            }),
            ...badNames.map((name) =>
              step(`bad name '${name.slice(0, 9)}'`, metadataApi, version, {
                topics: named(name),
                allowAutoTopicCreation: false,
              }),
            ),
          ]
        : []),
      ...badNames.map((name) =>
        step(`make bad name '${name.slice(0, 9)}'`, metadataApi, version, { topics: named(name) }),
      ),
      step('made', metadataApi, version, { topics: named(`meta-auto-${version}`) }),
      step(
        'made, later',
        metadataApi,
        version,
        { topics: named(`meta-auto-${version}`) },
        { until: ({ topics }) => topics[0].errorCode === 0 },
      ),
    ]),
  },
  {
    name: 'Metadata: by id',
    steps: [
      createTopic('meta-by-id', { partitions: 2 }),
      ...everyVersion(
        metadataApi,
        (version) => [
          step('id', metadataApi, version, (replies) => ({
            topics: [{ topicId: topicId(replies, 'meta-by-id'), name: version < 12 ? '' : null }],
          })),
          step('unknown id', metadataApi, version, {
            topics: [{ topicId: UNKNOWN_ID, name: version < 12 ? '' : null }],
          }),
          step('name and id', metadataApi, version, (replies) => ({
            topics: [{ topicId: topicId(replies, 'meta-by-id'), name: 'meta-by-id' }],
          })),
          step('name and unknown id', metadataApi, version, {
            topics: [{ topicId: UNKNOWN_ID, name: 'meta-by-id' }],
          }),
          step('null name', metadataApi, version, { topics: [{ topicId: ZERO_UUID, name: null }] }),
          step('ids and names', metadataApi, version, (replies) => ({
            topics: [
              { topicId: topicId(replies, 'meta-by-id'), name: version < 12 ? '' : null },
              { name: 'meta-by-id' },
            ],
          })),
        ],
        10,
      ),
    ],
  },
  {
    name: 'DescribeCluster',
    steps: everyVersion(describeClusterApi, (version) => [
      step('plain', describeClusterApi, version, { includeClusterAuthorizedOperations: false }),
      step('operations', describeClusterApi, version, { includeClusterAuthorizedOperations: true }),
      ...(version >= 1
        ? [0, 2, 3].map((endpointType) =>
            step(`endpoint type ${endpointType}`, describeClusterApi, version, {
              includeClusterAuthorizedOperations: false,
              endpointType,
            }),
          )
        : []),
    ]),
  },
]
