"""A real Kubernetes to test on: kube-apiserver, kube-controller-manager, kube-scheduler and etcd in one network
namespace, and a node program of ours that plays the kubelets. `make kube-up`, `make test-kube`."""
