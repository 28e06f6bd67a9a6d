// Package dashboard is the fifth stage: what is watched, and who watches it. It
// holds the boards (panels, their queries, the ones that come with Freshet) and
// the hub, which evaluates each distinct query once a tick, encodes what changed
// once, and hands it to every viewer's bounded mailbox. It knows neither HTTP nor
// SQL.
//
// cmd/freshet runs the hub; web connects viewers to it and draws boards.
//
// Nothing here is kept on disk, so nothing is promised after a crash: viewers
// connect again and begin with a snapshot.
//
// The goroutines that evaluate belong to Hub.Run and end with it. A viewer's
// methods run on its connection's own goroutines; one that falls behind loses
// frames, is owed a snapshot, and delays nobody.
package dashboard
