// Package aggregate folds the stream into windows and answers queries over all that
// ever arrived: what is in memory joined to what the warehouse has loaded, with every
// record counted exactly once.
//
// # Generations
//
// A [Generation] is a range of positions in every shard. Points are folded into 1 s
// windows kept apart by generation. A load freezes the open generation and writes it to
// the warehouse in one transaction; a query takes generations up to the one of its
// warehouse snapshot from there and those above from memory. So each record is counted
// once at every instant, whatever its timestamp says.
//
// # Posts that are sent again
//
// Records may carry the key of their post. A shard folds what it has the key of only once;
// once.go has the rules. What a folder drops it notes in the generation, so that those who
// read the log again, a load or the tail of a SQL query, leave out the same.
//
// # Concurrency
//
// Every shard of the log has one goroutine that reads and decodes records and one that
// owns the windows. Nobody else touches the windows: a reader asks the owner for a view,
// which costs the owner a copy of the windows that still take points, and never changes
// afterwards. Readers therefore hold no lock that folding waits for. The goroutines
// start in [Engine.Run] and end with it. A shard that a reshard has made is read once its
// parents are folded.
//
// # After a crash
//
// The package writes nothing. It goes on at the positions that the warehouse has loaded
// and folds the log from there again.
package aggregate
