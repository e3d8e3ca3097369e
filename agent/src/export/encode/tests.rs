use super::*;
use crate::export::{
    fixture::{edge, with_calls},
    metrics::{Resources, edge::add_edge, resource::tests::host},
};

fn measures(edges: usize) -> Measures {
    let mut measures = Measures::new(9_000, 100_000);
    let host = host();
    let agent = host.agent();
    let mut resources = Resources::new(&host);
    let edges: Vec<_> = (0..edges)
        .map(|index| edge((&format!("client-{index}"), true), ("api", true)))
        .map(|edge| with_calls(edge, "GET /", 200, 7))
        .collect();
    for edge in &edges {
        add_edge(&mut measures, edge, &mut resources, &agent);
    }
    measures
}

fn services(batch: &MetricBatch) -> Vec<String> {
    let name = |resource: &ResourceMetrics| {
        let attributes = &resource.resource.as_ref().expect("a resource").attributes;
        let name = attributes.iter().find(|pair| pair.key == "service.name");
        format!("{:?}", name.and_then(|pair| pair.value.clone()))
    };
    batch.request.resource_metrics.iter().map(name).collect()
}

#[test]
fn one_resource_per_workload_with_cumulative_points() {
    let batches = metric_batches(&measures(1), None);
    let [batch] = batches.as_slice() else {
        panic!("{} requests", batches.len());
    };
    let names = services(batch);
    assert_eq!(names.len(), 3, "api, client-0 and weir: {names:?}");
    let all: Vec<&Metric> = batch
        .request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics[0].metrics)
        .collect();
    let find = |name: &str| {
        all.iter()
            .find(|metric| metric.name == name)
            .expect("the metric")
    };
    let Some(Data::Sum(sum)) = &find("traces_service_graph_request_total").data else {
        panic!("not a sum");
    };
    let point = &sum.data_points[0];
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (1_000, 9_000)
    );
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(7)));
    let Some(Data::Histogram(histogram)) = &find("http.server.request.duration").data else {
        panic!("not a histogram");
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (7, Some(0.021)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(
        batch.request.resource_metrics[0].schema_url,
        names::SCHEMA_URL
    );
}

#[test]
fn many_points_are_divided_into_requests_and_none_is_lost() {
    let measures = measures(700);
    let batches = metric_batches(&measures, None);
    assert!(batches.len() > 1);
    assert!(
        batches
            .iter()
            .all(|batch| batch.points as usize <= MAX_POINTS)
    );
    let points: u64 = batches.iter().map(|batch| batch.points).sum();
    assert_eq!(points as usize, measures.len());
    for batch in &batches {
        let mut names = services(batch);
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "a resource stands twice in one request");
    }
}

#[test]
fn an_owner_can_be_left_out() {
    assert!(
        metric_batches(&measures(1), Some(Owner::Workload))
            .iter()
            .all(|batch| services(batch).len() == 1)
    );
}
