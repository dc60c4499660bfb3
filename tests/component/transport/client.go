// Another gRPC implementation than the client library's, against an echo of streams: what TestGoClient reads is printed as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *(v.(*[]byte)), nil }
func (raw) Unmarshal(data []byte, v any) error { *(v.(*[]byte)) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "proto" }

var description = &grpc.StreamDesc{StreamName: "Talk", ServerStreams: true, ClientStreams: true}

func open(ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	stream, err := conn.NewStream(ctx, description, "/test.Service/"+method)
	if err != nil {
		panic(err)
	}
	return stream
}

func echo(stream grpc.ClientStream, message []byte) error {
	if err := stream.SendMsg(&message); err != nil {
		return err
	}
	var answer []byte
	if err := stream.RecvMsg(&answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, message) {
		return fmt.Errorf("another message came back")
	}
	return nil
}

// Every read is answered by a PING of grpc-go's estimator of the bandwidth, and by windows.
func reads(conn *grpc.ClientConn) error {
	stream := open(context.Background(), conn, "Talk")
	for n := 0; n < 3000; n++ {
		if err := echo(stream, bytes.Repeat([]byte{byte(n)}, n%2000)); err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
	}
	return nil
}

func large(conn *grpc.ClientConn) error {
	stream := open(context.Background(), conn, "Talk")
	for n := 0; n < 4; n++ {
		if err := echo(stream, bytes.Repeat([]byte{byte(n)}, 4<<20)); err != nil {
			return err
		}
	}
	return nil
}

func many(conn *grpc.ClientConn) error {
	var wait sync.WaitGroup
	failures := make(chan error, 80)
	for n := 0; n < 80; n++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			stream := open(context.Background(), conn, "Talk")
			for i := 0; i < 20; i++ {
				if err := echo(stream, []byte(fmt.Sprint(n, i))); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	close(failures)
	return <-failures
}

// A writer is held back by who does not read, and other streams of the connection go on.
func stopped(conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	stuck := open(ctx, conn, "Ignore")
	sent := make(chan int, 1)
	go func() {
		chunk, count := make([]byte, 64<<10), 0
		for stuck.SendMsg(&chunk) == nil {
			count++
		}
		sent <- count
	}()
	time.Sleep(500 * time.Millisecond)
	err := echo(open(context.Background(), conn, "Talk"), []byte("goes on"))
	cancel()
	if count := <-sent; count > 64 {
		return fmt.Errorf("%d chunks were taken", count)
	}
	return err
}

func ends(conn *grpc.ClientConn) error {
	stream := open(context.Background(), conn, "Talk")
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var message []byte
	if err := stream.RecvMsg(&message); err != io.EOF {
		return fmt.Errorf("the end: %w", err)
	}
	for method, code := range map[string]codes.Code{"Refuse": codes.ResourceExhausted, "Nobody": codes.Unimplemented, "Fail": codes.Unknown} {
		if err := open(context.Background(), conn, method).RecvMsg(&message); status.Code(err) != code {
			return fmt.Errorf("%s: %w", method, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := open(ctx, conn, "Ignore").RecvMsg(&message); status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("deadline: %w", err)
	}
	return nil
}

func main() {
	found := map[string]string{}
	for name, check := range map[string]func(*grpc.ClientConn) error{"reads": reads, "large": large, "many": many, "stopped": stopped, "ends": ends} {
		conn, err := grpc.NewClient("passthrough:///"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(8<<20)))
		if err != nil {
			panic(err)
		}
		found[name] = "ok"
		if err := check(conn); err != nil {
			found[name] = err.Error()
		}
		conn.Close()
	}
	json.NewEncoder(os.Stdout).Encode(found)
}
