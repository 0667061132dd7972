#!/bin/sh
# Writes test/golden/data anew: messages, record batches, coordinator records and placements of replicas as Apache Kafka
# 3.9.1's own classes write them; of the consumer group protocol (KIP-848), transaction.version 2 (KIP-890) and ListConfigResources (KIP-1142) as 4.1.1's do. Needs a JDK (17 or later) and Maven, which fetches Kafka's jars. The data is committed:
# run this when an API or a version is added (and add it to the list below), then look at what changed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
jars="$here/../../.cache/golden-jars"
mkdir -p "$jars" "$here/data"
mvn -q -f "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars"
rm -f "$here"/data/*.json
# API key:first version-last version, as declared (src/protocol/messages).
javac -cp "$jars/*" -d "$jars/classes" "$here"/java/*.java
java -cp "$jars/classes:$jars/*" Generate "$here/data" \
  0:0-11 1:0-17 2:0-9 3:0-12 4:0-7 5:0-4 6:0-8 7:0-3 8:1-9 9:1-9 10:0-6 11:0-9 12:0-4 13:0-5 14:0-5 15:0-5 16:0-5 \
  18:0-4 19:0-7 20:0-6 21:0-2 22:0-5 23:0-4 24:0-5 25:0-4 27:0-1 32:0-4 33:0-2 34:0-2 35:0-4 37:0-3 \
  42:0-2 43:0-2 44:0-1 45:0-0 46:0-0 47:0-0 56:0-3 60:0-1 61:0-0 65:0-0 66:0-1 67:0-0

new="$here/../../.cache/golden-jars-4.1"
mkdir -p "$new"
mvn -q -f "$here/java-4.1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new"
javac -cp "$new/*" -d "$new/classes" "$here"/java/Golden.java "$here"/java-4.1/*.java
java -cp "$new/classes:$new/*" Generate "$here/data" 0:12-12 26:0-5 28:0-5 68:0-1 69:0-1 74:0-1
