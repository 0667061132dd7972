/**
 * DescribeConfigs 0-4: settings of topics, of groups and of this broker, with their sources. v1 brings synonyms, v3 types and
 * documentation. Broker loggers (type 8) are answered with an empty list: there is one log, and its level is a flag.
 */
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../protocol/messages/32-describe-configs.ts'
import type { Services } from '../services.ts'

export async function handleDescribeConfigs(
  services: Services,
  request: DescribeConfigsRequest,
): Promise<DescribeConfigsResponse> {
  return { results: await services.configAdmin.describe(request) }
}
