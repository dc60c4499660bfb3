// kindnetd gives the pods of a node addresses of the node's own ranges, and the node a route to the ranges of every other one.
//
// It runs on each node of a kind cluster. What follows from the nodes is decided in plan.go; cni.go and routes.go do it.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	// A whole look again, should anybody have changed routes or files behind our back.
	resync = 30 * time.Second
	// After a failure, such as a node whose address is not known yet.
	retry = time.Second
	// How soon to ask again for an API server that is not reachable: it is so once kube-proxy has set its rules.
	poll = 200 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	host := os.Getenv("HOST_IP")
	if host == "" {
		log.Fatal("HOST_IP is not set: which node is this?")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, client, host); err != nil {
		log.Fatal(err)
	}
}

// run keeps this node as the nodes of the cluster want it, until it is told to end.
func run(ctx context.Context, client kubernetes.Interface, host string) error {
	if err := awaitServer(ctx, client); err != nil {
		return nil // told to end before it came
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1)
	tell := func(any) {
		select {
		case changed <- struct{}{}:
		default: // a look that takes this change in is due already
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    tell,
		UpdateFunc: func(_, now any) { tell(now) },
		DeleteFunc: tell,
	}
	if _, err := nodes.Informer().AddEventHandler(handler); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for {
		pause := resync
		if listed, err := nodes.Lister().List(labels.Everything()); err != nil {
			log.Print(err)
			pause = retry
		} else if err := apply(planFor(host, listed)); err != nil {
			log.Print(err)
			pause = retry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(pause):
		}
	}
}

// awaitServer returns when the API server answers. An informer would wait longer after each failure, up to half a minute.
func awaitServer(ctx context.Context, client kubernetes.Interface) error {
	return wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) {
		_, err := client.Discovery().ServerVersion()
		return err == nil, nil
	})
}

// apply brings the node to the plan; it may be repeated.
func apply(p plan, err error) error {
	if err != nil {
		return err
	}
	if err := writeConflist(p.ranges); err != nil {
		return err
	}
	return replaceRoutes(p.routes)
}
