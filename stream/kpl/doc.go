// Package kpl is the format in which the Kinesis Producer Library packs several user
// records into one record of a stream.
//
// An aggregated record is
//
//	┌─────────────┬──────────────────────────┬─────────────────────┐
//	│ F3 89 9A C2 │ protobuf AggregatedRecord│ MD5 of the protobuf │
//	│   4 bytes   │                          │      16 bytes       │
//	└─────────────┴──────────────────────────┴─────────────────────┘
//
//	AggregatedRecord  1 partition_key_table      repeated string
//	                  2 explicit_hash_key_table  repeated string
//	                  3 records                  repeated Record
//	Record            1 partition_key_index      uint64, into table 1
//	                  2 explicit_hash_key_index  uint64, into table 2, may be absent
//	                  3 data                     bytes
//	                  4 tags                     repeated {1 key string, 2 value string}
//
// as https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
// describes it. Producers write it with an [Aggregator]; consumers and the fold read it
// with [Decode]. Tags are skipped, as consumers of Amazon's skip them.
//
// The package is pure: it starts no goroutine and keeps nothing.
package kpl
