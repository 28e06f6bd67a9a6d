// Package consumer reads a stream with several workers that share its shards by leases.
package consumer
