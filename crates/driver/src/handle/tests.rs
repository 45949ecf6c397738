//! Work on the threads of callers: its order, its panics, its deadlines.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use chanter_bgp::{
    Attributes, CodecContext, Family, HEADER_LEN, MESSAGE_LEN_MAX, Nlri, PathData, RouteEvent,
    UpdateBatch, decode_update, frame_len,
};
use chanter_engine::{PeerRole, SessionInfo};
use chanter_intent::{InstanceId, MacVrf, Object, VpnInstance, VpnKind};
use chanter_types::{Asn, Ipv4Prefix, RouteTarget, Vni};

use super::*;

/// For what should take far less.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what has to end by itself.
const SOON: Duration = Duration::from_millis(20);

fn engine() -> (EngineHandle, DesiredFeed) {
    let config = EngineConfig {
        local_as: Asn(64512),
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        vtep: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
        cluster_id: None,
        reflect: true,
        rt_constraint: false,
        sources: vec![SourceId::Rest],
        peers_expected: 0,
        restarting: false,
        deferral: EngineConfig::DEFERRAL,
    };
    EngineHandle::spawn(config).expect("a thread can be had")
}

async fn up(engine: &EngineHandle, number: u8) {
    let addr = Ipv4Addr::new(192, 0, 2, number);
    let own_addr = Ipv4Addr::new(192, 0, 2, 1);
    let session = SessionInfo {
        families: vec![Family::IPV4_UNICAST],
        end_of_rib: vec![Family::IPV4_UNICAST],
        ..SessionInfo::new(
            (addr.into(), own_addr.into()),
            (Asn(64512), Asn(64512)),
            addr,
            PeerRole::RouteReflectorClient,
        )
    };
    let peer = PeerId(number.into());
    let session = Box::new(session);
    let up = engine.input(Input::PeerUp { peer, session }).await;
    up.expect("the engine lives");
}

/// The route of a peer as of `step`; `others` more beside it make the work large.
fn step_of(number: u8, step: u32, others: usize) -> Input {
    let attributes = Attributes::builder()
        .local_pref(100)
        .med(step)
        .next_hop(IpAddr::V4(Ipv4Addr::new(198, 51, 100, number)))
        .build();
    let mut batch = UpdateBatch::new();
    for host in 0..=others {
        let addr = Ipv4Addr::new(10, number, 0, host as u8);
        let nlri = Nlri::Ipv4(Ipv4Prefix::host(addr));
        batch.reach(nlri, PathData::default(), attributes.clone());
    }
    Input::Updates {
        peer: PeerId(number.into()),
        batch,
    }
}

/// Decodes what was pulled: the MULTI_EXIT_DISC of each route that is the first of its peer.
fn steps_in(octets: &[u8]) -> Vec<(Nlri, u32)> {
    let context = CodecContext {
        families: [Family::IPV4_UNICAST].into_iter().collect(),
        ..CodecContext::default()
    };
    let mut batch = UpdateBatch::new();
    let mut rest = octets;
    while let Some(header) = rest.first_chunk() {
        let len = frame_len(header, MESSAGE_LEN_MAX).expect("a whole message");
        let mut faults = Vec::new();
        decode_update(&rest[HEADER_LEN..len], &context, &mut batch, &mut faults).expect("ours");
        rest = &rest[len..];
    }
    let reached = batch.events.iter().filter_map(|event| match event {
        RouteEvent::Reach {
            nlri, attributes, ..
        } => {
            let attributes = batch.attributes(*attributes).expect("of this batch");
            Some((nlri.clone(), attributes.med().expect("each has one")))
        }
        _ => None,
    });
    reached.collect()
}

/// Small and large pieces of four peers at once; a fifth takes what comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_peer_hands_in_is_done_in_its_order() {
    const PEERS: u8 = 4;
    const STEPS: u32 = 400;
    let (engine, _feed) = engine();
    for number in 2..=PEERS + 2 {
        up(&engine, number).await;
    }
    let senders: Vec<_> = (2..PEERS + 2)
        .map(|number| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for step in 1..=STEPS {
                    let others = if step % 3 == 0 { 2 * SMALL_LEN } else { 0 };
                    let taken = engine.input(step_of(number, step, others)).await;
                    taken.expect("the engine lives");
                }
            })
        })
        .collect();
    let receiver = PeerId((PEERS + 2).into());
    let mut last: BTreeMap<Nlri, u32> = BTreeMap::new();
    let first = |number: u8| Nlri::Ipv4(Ipv4Prefix::host(Ipv4Addr::new(10, number, 0, 0)));
    let has_all = |last: &BTreeMap<Nlri, u32>| {
        (2..PEERS + 2).all(|number| last.get(&first(number)) == Some(&STEPS))
    };
    while !has_all(&last) {
        let octets = tokio::time::timeout(PATIENCE, engine.pull(receiver, 4096)).await;
        let octets = octets.expect("the last step comes").expect("it lives");
        for (nlri, step) in steps_in(&octets) {
            let before = last.insert(nlri.clone(), step);
            assert!(before.is_none_or(|before| before < step), "{nlri}: {step}");
        }
    }
    for sender in senders {
        sender.await.expect("no sender panicked");
    }
}

/// A panic goes to who caused it, and the engine is not used any more.
#[tokio::test]
async fn a_panic_on_the_thread_of_a_caller_ends_the_engine_for_all() {
    let (engine, mut feed) = engine();
    up(&engine, 2).await;
    // All that was handed in is done when a question is answered.
    assert_eq!(
        engine.query(|engine| engine.summary().local_as).await,
        Ok(Asn(64512))
    );
    let puller = engine.clone();
    let waiting = tokio::spawn(async move {
        loop {
            puller.pull(PeerId(2), 4096).await?;
        }
    });
    let result: Result<(), _> = loop {
        // The engine's thread may be busy still; then it is given back.
        let question = Work::Query(Box::new(|_| panic!("a panic on purpose")));
        let run = || engine.shared.run_here(question, &engine.work);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Err(_)) => tokio::task::yield_now().await,
            Ok(Ok(())) => unreachable!("it panics"),
            Err(panic) => break Err(panic),
        }
    };
    assert!(result.is_err(), "the panic comes through");
    let ended = |what| format!("{what} is told that the engine is gone");
    tokio::time::timeout(PATIENCE, engine.gone())
        .await
        .unwrap_or_else(|_| panic!("{}", ended("who asks")));
    let waiting: Result<Result<(), EngineGone>, _> = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{}", ended("who waits")));
    assert_eq!(waiting.expect("no panic of its own"), Err(EngineGone));
    assert_eq!(engine.input(step_of(2, 1, 0)).await, Err(EngineGone));
    assert_eq!(engine.pull(PeerId(2), 4096).await, Err(EngineGone));
    assert_eq!(engine.query(|_| ()).await, Err(EngineGone));
    assert!(feed.next().await.is_none());
}

fn declared(engine: &EngineHandle, reply: crate::waiters::Reply) -> Work {
    let rt = RouteTarget::from_as2(64512, 1);
    let instance = VpnInstance {
        id: InstanceId::new("net"),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Vni::new(100),
            bridge: None,
        }),
        import: [rt].into(),
        export: [rt].into(),
        rd: None,
        gateway_ip: None,
        description: None,
    };
    Work::Declare {
        source: SourceId::Rest,
        events: vec![SourceEvent::Upsert(Object::Instance(instance))],
        deadline: engine.now() + SOON,
        reply,
    }
}

/// Nobody obeys the feed, so that only the deadline can end it.
#[tokio::test]
async fn a_deadline_that_comes_of_a_callers_piece_is_kept() {
    let (engine, _feed) = engine();
    assert_eq!(engine.query(|_| ()).await, Ok(()));
    let (reply, answer) = oneshot::channel();
    let mut work = declared(&engine, reply);
    // The engine's thread is about to sleep, for longer.
    while let Err(back) = engine.shared.run_here(work, &engine.work) {
        work = back;
        tokio::task::yield_now().await;
    }
    let statuses = tokio::time::timeout(PATIENCE, answer).await;
    let statuses = statuses.expect("its thread wakes up").expect("it lives");
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].1, ObjectStatus::Pending);
}

/// Callers with small pieces and a queue full of large ones: what is due is done all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_without_end_does_not_delay_what_is_due() {
    let (engine, _feed) = engine();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut busy = Vec::new();
    for number in 2..8 {
        up(&engine, number).await;
        let (engine, is_over) = (engine.clone(), is_over.clone());
        let others = if number % 2 == 0 { 4 * SMALL_LEN } else { 0 };
        busy.push(tokio::spawn(async move {
            let mut step = 0;
            while !is_over.load(Ordering::SeqCst) {
                step += 1;
                let taken = engine.input(step_of(number, step, others)).await;
                taken.expect("the engine lives");
                tokio::task::yield_now().await;
            }
            step
        }));
    }
    for _ in 0..5 {
        let (reply, answer) = oneshot::channel();
        let work = declared(&engine, reply);
        engine.send(work).await.expect("the engine lives");
        let statuses = tokio::time::timeout(PATIENCE, answer).await;
        let statuses = statuses.expect("patience has an end").expect("it lives");
        assert_eq!(statuses[0].1, ObjectStatus::Pending);
    }
    is_over.store(true, Ordering::SeqCst);
    for task in busy {
        assert!(task.await.expect("no panic") > 0);
    }
}
