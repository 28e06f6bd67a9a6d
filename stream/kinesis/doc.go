// Package kinesis serves the streams under the API of Amazon Kinesis Data Streams.
package kinesis
