// Package kpl is the format in which the Kinesis Producer Library packs several user
// records into one record of a stream.
//
// An aggregated record is the four bytes F3 89 9A C2, a protobuf message, and the MD5 of
// the message. Producers write it, consumers and the fold read it. The format is that of
// https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md.
//
// The package is pure: it starts no goroutine and keeps nothing.
package kpl
