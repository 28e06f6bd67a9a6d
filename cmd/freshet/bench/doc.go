// Package bench measures a server on the machine that it runs on, beside what that
// machine can do at all: its disk with the same commits, and an HTTP server that only
// discards the same bodies.
//
// `freshet bench` calls it. The server under test is a process of its own, on a data
// directory of its own that is removed afterwards, so that its memory and processor
// time can be told from the load generator's. The generator writes requests that were
// rendered beforehand over plain connections: a general HTTP client costs more than the
// server does. All goroutines end with the function that started them.
package bench
