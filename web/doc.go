// Package web is the seventh stage: what a browser gets. It holds the pages (templ),
// the bundled assets (TypeScript and CSS under assets/, embedded), the live websocket
// and the mounting of the API's handlers.
//
// cmd/freshet calls New and serves the handler; browsers and programs do the rest.
// Pages show a board at once and then subscribe over the live connection.
//
// Nothing here is kept on disk, so nothing is promised after a crash: a page connects
// again and goes on from a fresh snapshot.
//
// New starts nothing. Requests run on the goroutines of the http.Server; a live
// connection has two, both of which end with it.
package web
