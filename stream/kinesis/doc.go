// Package kinesis serves the streams under the API of Amazon Kinesis Data Streams: any
// SDK, producer library or consumer library speaks to it when its endpoint is changed.
//
// # Usage
//
// Make a [Service] over a log and a store, run it, and mount its handler on a listener
// of its own, which must speak HTTP/1.1 and unencrypted HTTP/2 ([Server] does):
//
//	service, err := kinesis.New(kinesis.Options{Log: log, Store: store, AuthOff: true})
//	g.Go(func() error { return service.Run(ctx) })
//	g.Go(func() error { return kinesis.Server(service.Handler()).Serve(listener) })
//
// The shapes_ files hold the model's structures under the model's names, rules.go its
// constraints, operations.go the table of operations. An operation is a method that
// takes an input which satisfies the constraints; what it returns as an [Error] is the
// client's, anything else is logged and answered as a failure of the server.
//
// # The way of a record
//
// PutRecords in JSON is read by a scanner in one pass (put_json.go) into a batch
// (put_batch.go), routed by one set of open shards (put_route.go), submitted once a
// shard and answered when all are durable (ops_put.go, put_answer.go). Memory goes from one
// request to the next, and no record costs an allocation. CBOR, and JSON that the
// scanner is not sure of, go through the general decoder into the same batch.
// GetRecords writes its answer while it reads (ops_get.go, get_json.go), with readers
// that stay open for consumers that poll on (readers.go).
//
// # After a crash
//
// What the log promises holds for records: those that were acknowledged are there. What
// the API knows of a stream beyond the log (tags, consumers, modes, transitions that
// are under way) is in the store before it is answered.
//
// # Goroutines
//
// [Service.Run] owns those that end transitions. A request runs in its server's.
package kinesis
